// Package rethinkdb is a stand-in for a RethinkDB 2.4 cluster: the driver's protocol on one port.
//
// It was written from the vendor's protocol (ql2.proto, the guide to writing drivers) and is held to
// conversations with a real 2.4.4 server in testdata, and to the vendor's own client tools. It keeps
// rows, and knows the terms that backups need. It does not run functions: a secondary index is what
// its binary says, and a write hook does what the recorded one does (it merges `hooked: true`).
package rethinkdb

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
)

const (
	magic      = 0x34c2bdc3
	queryLimit = 64 << 20
	version    = "2.4.4-dirty"
)

// Server is one cluster.
type Server struct {
	mutex   sync.Mutex
	servers []node
	users   map[string]login
	// databases by name; the system's own is made of the others.
	databases map[string]*database
}

// node is a server of the cluster.
type node struct{ id, name string }

// New makes an empty cluster of servers of these names, whose user admin has no password.
func New(servers ...string) *Server {
	s := &Server{users: map[string]login{}, databases: map[string]*database{}}
	for _, name := range servers {
		s.servers = append(s.servers, node{newID(), name})
	}
	s.users["admin"] = newLogin("")
	s.databases["test"] = &database{id: newID(), tables: map[string]*table{}}
	return s
}

// Serve answers until the listener is closed.
func (s *Server) Serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		go s.converse(conn)
	}
}

// session is one connection.
type session struct {
	server  *Server
	user    string
	in      *bufio.Reader
	out     *bufio.Writer
	streams map[uint64]*stream
}

func (s *Server) converse(conn net.Conn) {
	defer conn.Close()
	one := &session{server: s, in: bufio.NewReader(conn), out: bufio.NewWriter(conn), streams: map[uint64]*stream{}}
	if err := one.shakeHands(); err != nil {
		return
	}
	for {
		var head [12]byte
		if _, err := io.ReadFull(one.in, head[:]); err != nil {
			return
		}
		token, size := binary.LittleEndian.Uint64(head[:8]), binary.LittleEndian.Uint32(head[8:])
		if size > queryLimit {
			_ = one.answer(token, refusal(clientError, 0, "Payload size (%d) greater than maximum (%d).", size, queryLimit))
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(one.in, query); err != nil {
			return
		}
		if err := one.answer(token, one.run(token, query)); err != nil {
			return
		}
	}
}

func (o *session) answer(token uint64, answer map[string]any) error {
	body := encode(answer)
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:8], token)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(body)))
	_, _ = o.out.Write(head[:])
	_, _ = o.out.Write(body)
	return o.out.Flush()
}

// Types of answers and of errors, as ql2.proto has them.
const (
	successAtom     = 1
	successSequence = 2
	successPartial  = 3
	waitComplete    = 4
	serverInfo      = 5
	clientError     = 16
	compileError    = 17
	runtimeError    = 18

	queryLogic   = 3000000
	nonExistence = 3100000
	opFailed     = 4100000
	permission   = 6000000
)

// run runs one query of the client.
func (o *session) run(token uint64, text []byte) map[string]any {
	var query []any
	if value, err := decode(text); err != nil {
		return refusal(clientError, 0, "Client is buggy (failed to parse query).")
	} else if list, ok := value.([]any); !ok || len(list) == 0 {
		return refusal(clientError, 0, "Client is buggy (failed to parse query).")
	} else {
		query = list
	}
	switch query[0] {
	case 1.0:
		return o.start(token, query)
	case 2.0:
		if stream, ok := o.streams[token]; ok {
			o.server.mutex.Lock()
			defer o.server.mutex.Unlock()
			return o.batch(token, stream)
		}
		return refusal(clientError, 0, "Token %d not in stream cache.", token)
	case 3.0:
		delete(o.streams, token)
		return map[string]any{"t": successSequence, "r": []any{}, "n": []any{}}
	case 4.0:
		return map[string]any{"t": waitComplete, "r": []any{}}
	case 5.0:
		first := o.server.servers[0]
		return map[string]any{"t": serverInfo, "r": []any{map[string]any{"id": first.id, "name": first.name, "proxy": false}}}
	}
	return refusal(clientError, 0, "Unrecognized QueryType.")
}

func (o *session) start(token uint64, query []any) map[string]any {
	if len(query) < 2 {
		return refusal(clientError, 0, "Client is buggy (failed to parse query).")
	}
	options := map[string]any{}
	if len(query) > 2 {
		options, _ = query[2].(map[string]any)
	}
	o.server.mutex.Lock()
	defer o.server.mutex.Unlock()
	value, err := (&evaluation{server: o.server, user: o.user}).eval(query[1])
	if err != nil {
		var failed *failure
		if !errors.As(err, &failed) {
			failed = &failure{queryLogic, err.Error()}
		}
		answer := refusal(runtimeError, failed.code, "%s", failed.text)
		return answer
	}
	switch value := value.(type) {
	case *systemRef:
		return o.batch(token, newStream(options, value.rows, nil))
	case *selection:
		return o.batch(token, newStream(options, nil, value.rows))
	case sequence:
		return o.batch(token, newStream(options, value, nil))
	}
	return map[string]any{"t": successAtom, "r": []any{value}}
}

func refusal(kind, code int, format string, arguments ...any) map[string]any {
	answer := map[string]any{"t": kind, "r": []any{sprintf(format, arguments...)}, "b": []any{}}
	if code != 0 {
		answer["e"] = code
	}
	return answer
}

// stream is what is left of an answer: values, or rows of a table.
type stream struct {
	values   []any
	rows     []*row
	maxBytes float64
	minRows  int
}

// Bytes of a batch where the query names none, as the server's default.
const batchBytes = 1 << 20

func newStream(options map[string]any, values []any, rows []*row) *stream {
	s := &stream{values: values, rows: rows, maxBytes: batchBytes, minRows: 8}
	if bytes, ok := options["max_batch_bytes"].(float64); ok {
		s.maxBytes = bytes
	}
	if rows, ok := options["min_batch_rows"].(float64); ok {
		s.minRows = int(rows)
	}
	return s
}

func (s *stream) left() bool { return len(s.values)+len(s.rows) > 0 }

// next is the text of the next value; none where its row is gone.
func (s *stream) next() json.RawMessage {
	if len(s.values) > 0 {
		value := s.values[0]
		s.values = s.values[1:]
		return json.RawMessage(encode(value))
	}
	row := s.rows[0]
	s.rows = s.rows[1:]
	if row.gone {
		return nil
	}
	return row.text
}

// batch takes rows until they are enough for one answer.
func (o *session) batch(token uint64, s *stream) map[string]any {
	taken, size := []any{}, 0
	for s.left() && (len(taken) < s.minRows || float64(size) < s.maxBytes) {
		if text := s.next(); text != nil {
			taken = append(taken, text)
			size += len(text)
		}
	}
	if s.left() {
		o.streams[token] = s
		return map[string]any{"t": successPartial, "r": taken, "n": []any{}}
	}
	delete(o.streams, token)
	return map[string]any{"t": successSequence, "r": taken, "n": []any{}}
}

// Run runs one term as the user admin, in this process: for tests that look at a cluster or fill it.
// Rows come as []any, other values as JSON has them.
func (s *Server) Run(text string) (any, error) {
	query, err := decode([]byte(text))
	if err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	value, err := (&evaluation{server: s, user: "admin"}).eval(query)
	return plain(value), err
}
