package rethinkdb

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// frame is a line of a recording.
type frame struct {
	Conn      int             `json:"conn"`
	From      string          `json:"from"`
	Handshake string          `json:"handshake"`
	Token     uint64          `json:"token"`
	JSON      json.RawMessage `json:"json"`
}

func recorded(t *testing.T, name string) []frame {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var frames []frame
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var one frame
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, one)
	}
	return frames
}

// driver is a client of the test's own.
type driver struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	said []string
}

func dial(t *testing.T, s *Server) *driver {
	t.Helper()
	client, server := net.Pipe()
	go s.converse(server)
	t.Cleanup(func() { client.Close() })
	return &driver{t: t, conn: client, in: bufio.NewReader(client)}
}

func (d *driver) send(parts ...[]byte) {
	d.t.Helper()
	if _, err := d.conn.Write(bytes.Join(parts, nil)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) hear() map[string]any {
	d.t.Helper()
	text, err := d.in.ReadBytes(0)
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := decode(text[:len(text)-1])
	if err != nil {
		d.t.Fatal(err)
	}
	message := value.(map[string]any)
	d.said = append(d.said, strings.Join(sortedKeys(message), " "))
	return message
}

// login shakes hands; the server's last word.
func (d *driver) login(user, password string) map[string]any {
	d.t.Helper()
	first := "n=" + user + ",r=abc"
	hello := encode(map[string]any{"protocol_version": 0, "authentication_method": "SCRAM-SHA-256", "authentication": "n,," + first})
	d.send([]byte{0xc3, 0xbd, 0xc2, 0x34}, hello, []byte{0})
	if hello := d.hear(); hello["success"] != true {
		return hello
	}
	challenge := d.hear()
	if challenge["success"] != true {
		return challenge
	}
	message := challenge["authentication"].(string)
	fields := scramFields(message)
	salt, _ := base64.StdEncoding.DecodeString(fields["s"])
	var rounds int
	fmt.Sscan(fields["i"], &rounds)
	final := "c=biws,r=" + fields["r"]
	proof := clientProof(password, salt, rounds, first+","+message+","+final)
	d.send(encode(map[string]any{"authentication": final + ",p=" + proof}), []byte{0})
	return d.hear()
}

func (d *driver) ask(token uint64, query []byte) map[string]any {
	d.t.Helper()
	head := binary.LittleEndian.AppendUint64(nil, token)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(query)))
	d.send(head, query)
	var answer [12]byte
	if _, err := readFull(d.in, answer[:]); err != nil {
		d.t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(answer[:8]); got != token {
		d.t.Fatalf("an answer to %d, not to %d", got, token)
	}
	body := make([]byte, binary.LittleEndian.Uint32(answer[8:]))
	if _, err := readFull(d.in, body); err != nil {
		d.t.Fatal(err)
	}
	value, err := decode(body)
	if err != nil {
		d.t.Fatalf("%s: %v", body, err)
	}
	return value.(map[string]any)
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal takes out of an answer what differs from run to run: ids, estimates, the order of tables,
// and how the server prints a function, which the stand-in can't.
func normal(answer any) string {
	var walk func(any) any
	walk = func(value any) any {
		switch value := value.(type) {
		case map[string]any:
			for name, item := range value {
				switch name {
				case "query":
					value[name] = "a function"
				case "doc_count_estimates":
					value[name] = "some"
				default:
					value[name] = walk(item)
				}
			}
		case []any:
			for i := range value {
				value[i] = walk(value[i])
			}
		}
		return value
	}
	value := walk(answer)
	if answer, ok := value.(map[string]any); ok && answer["t"] == 2.0 {
		rows := answer["r"].([]any)
		if len(rows) > 0 && rows[0].(map[string]any)["db"] != nil {
			slices.SortFunc(rows, compare)
		}
	}
	return uuid.ReplaceAllString(string(encode(value)), "UUID")
}

// replay says what the recorded client said, and compares the answers.
func replay(t *testing.T, s *Server, name string, frames []frame) {
	t.Helper()
	drivers, answers, shapes := map[int]*driver{}, map[string][]map[string]any{}, map[int][]string{}
	compared := 0
	for _, one := range frames {
		key := fmt.Sprint(one.Conn, " ", one.Token)
		switch {
		case one.JSON == nil && one.From == "server":
			value, _ := decode([]byte(one.Handshake))
			shapes[one.Conn] = append(shapes[one.Conn], strings.Join(sortedKeys(value.(map[string]any)), " "))
		case one.JSON == nil:
		case one.From == "client":
			if drivers[one.Conn] == nil {
				drivers[one.Conn] = dial(t, s)
				drivers[one.Conn].login("admin", "")
			}
			answers[key] = append(answers[key], drivers[one.Conn].ask(one.Token, one.JSON))
		default:
			want, err := decode(one.JSON)
			if err != nil {
				t.Fatal(err)
			}
			got := answers[key][0]
			answers[key] = answers[key][1:]
			// An estimate is a number in an answer of its own.
			if isNumber(want) && isNumber(got) && name == "dump" {
				continue
			}
			if got, want := normal(got), normal(want); got != want {
				t.Errorf("connection %d, token %d:\n got %s\nwant %s", one.Conn, one.Token, got, want)
			}
			compared++
		}
	}
	for conn, driver := range drivers {
		if !slices.Equal(driver.said, shapes[conn]) {
			t.Errorf("handshake of connection %d: got %q, want %q", conn, driver.said, shapes[conn])
		}
	}
	if compared < 20 {
		t.Errorf("only %d answers were compared", compared)
	}
}

func isNumber(answer any) bool {
	rows, _ := answer.(map[string]any)["r"].([]any)
	if len(rows) != 1 {
		return false
	}
	_, ok := rows[0].(float64)
	return ok
}

// The stand-in answers the vendor's tools as the real server did: first a restore into it, then a
// dump of what is in it.
func TestRecordedConversations(t *testing.T) {
	s := New("s2")
	restore := recorded(t, "restore.frames.jsonl")
	// The recording has one connection after another; this write came once its table was there, and
	// before the table had a write hook.
	write := func(one frame) bool { return one.Conn == 4 && one.Token == 1 && one.JSON != nil }
	var written []frame
	for _, one := range restore {
		if write(one) {
			written = append(written, one)
		}
	}
	restore = slices.DeleteFunc(restore, write)
	made := slices.IndexFunc(restore, func(one frame) bool { return one.Conn == 5 && one.Token == 3 })
	restore = slices.Insert(restore, made, written...)
	replay(t, s, "restore", restore)
	t.Run("dump", func(t *testing.T) { replay(t, s, "dump", recorded(t, "dump.frames.jsonl")) })
}
