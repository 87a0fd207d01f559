// Package cnosdb is a stand-in for CnosDB 2.4.2. It keeps state, speaks the HTTP API, and knows the
// SQL that the recorded conversation in testdata and Lifeboat's client need, COPY INTO with files of
// its own disk or of an S3 server among it; another statement is an error. Written from the recorded conversation, and from how the vendor's source reads line protocol.
package cnosdb

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Server is the stand-in.
type Server struct {
	mutex   sync.Mutex
	tenants map[string]*tenant
	users   map[string]string
}

// New makes one as a fresh server is: one tenant, one user without a password.
func New() *Server {
	s := &Server{tenants: map[string]*tenant{}, users: map[string]string{"root": ""}}
	s.tenants["cnosdb"] = newTenant("system tenant")
	return s
}

// AddUser makes a user who may do everything.
func (s *Server) AddUser(name, password string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.users[name] = password
}

// Serve serves until the listener is closed.
func (s *Server) Serve(listener net.Listener) error { return http.Serve(listener, s) }

// failure is what the server answers with when it can't.
type failure struct {
	status        int
	code, message string
}

func (f *failure) Error() string { return f.code + ": " + f.message }

func fail(code, format string, values ...any) *failure {
	return &failure{status: http.StatusUnprocessableEntity, code: code, message: fmt.Sprintf(format, values...)}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if problem := s.route(w, r, string(body)); problem != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(problem.status)
		_ = encode(w, map[string]string{"error_code": problem.code, "error_message": problem.message})
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, body string) *failure {
	query := r.URL.Query()
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/ping":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"version":"2.4.2, revision c6a177786a823ff5b3cd991464e898fb7b413cad","status":"healthy"}`)
		return nil
	case "GET /api/v1/dump/sql/ddl":
		// The real one asks for no login either.
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, s.dump(query.Get("tenant")))
		return nil
	case "POST /api/v1/sql", "POST /api/v1/write":
	default:
		return &failure{http.StatusNotFound, "000000", "no such path"}
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return &failure{http.StatusBadRequest, "000000", `Missing request header "authorization"`}
	}
	if want, known := s.users[user]; !known || want != password {
		return fail("010016", "Auth error: Access denied for user '%s' (using password) ", user)
	}
	name := query.Get("tenant")
	if name == "" {
		name = "cnosdb"
	}
	t := s.tenants[name]
	if t == nil {
		return fail("010016", "Auth error: The tenant %s not found", name)
	}
	session := session{server: s, tenant: t, tenantName: name, database: query.Get("db")}
	if session.database == "" {
		session.database = "public"
	}
	if r.URL.Path == "/api/v1/write" {
		return session.write(body, query.Get("precision"))
	}
	answer, problem := session.execute(body)
	if problem != nil {
		return problem
	}
	return answer.send(w, r.Header.Get("Accept"))
}

func encode(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func (s *Server) dump(only string) string {
	var out strings.Builder
	out.WriteString("-- Dump Global Object\n")
	for _, name := range sorted(s.tenants) {
		if only != "" && only != name {
			continue
		}
		fmt.Fprintf(&out, "-- Dump Tenant %[1]s Object\n\\change_tenant %[1]s\n", name)
		t := s.tenants[name]
		for _, db := range sorted(t.databases) {
			if db != "public" {
				fmt.Fprintf(&out, "create database if not exists %q with %s;\n", db, t.databases[db].ddl())
			}
		}
		for _, db := range sorted(t.databases) {
			for _, table := range sorted(t.databases[db].tables) {
				fmt.Fprintf(&out, "create table %q.%q (%s);\n", db, table, t.databases[db].tables[table].ddl())
			}
		}
	}
	return out.String()
}
