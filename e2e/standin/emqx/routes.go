package emqx

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP answers a request. Paths below /standin/ are the tests' own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, "/standin/"); ok {
		s.control(w, r, path)
		return
	}
	// Bodies are read before the state is locked: an upload may take its time.
	var body []byte
	var name string
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		part, header, err := r.FormFile("filename")
		if err == nil {
			name = header.Filename
			body, err = io.ReadAll(part)
		}
		if err != nil {
			return
		}
	} else {
		body, _ = io.ReadAll(r.Body)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v5/")
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	if !ok {
		s.refuse(w, 404, "NOT_FOUND", "not found")
		return
	}
	if r.Method+" "+path == "POST login" {
		s.login(w, body)
		return
	}
	if !s.loggedIn(r) {
		s.refuse(w, 401, "BAD_API_KEY_OR_SECRET", "Check api_key/api_secret")
		return
	}
	switch call := r.Method + " " + path; {
	case call == "GET nodes":
		s.nodes(w)
	case call == "POST data/export":
		file, made := s.export()
		answer(w, 200, listed(Core, file, made))
	case call == "GET data/files":
		s.list(w, r)
	case call == "POST data/files":
		s.upload(w, name, body)
	case call == "POST data/import":
		s.importFile(w, body)
	case strings.HasPrefix(path, "data/files/"):
		s.file(w, r, strings.TrimPrefix(path, "data/files/"))
	case r.Method == "GET":
		s.count(w, path)
	default:
		s.refuse(w, 404, "NOT_FOUND", "not found")
	}
}

// refuse writes an error in either shape.
func (s *Server) refuse(w http.ResponseWriter, status int, code, message string) {
	if s.faults.Objects {
		answer(w, status, map[string]any{"code": code, "message": map[string]string{"$global": message, "ns1": "as well"}})
		return
	}
	answer(w, status, map[string]any{"code": code, "message": message})
}

func (s *Server) login(w http.ResponseWriter, body []byte) {
	var given struct{ Username, Password string }
	if json.Unmarshal(body, &given) != nil || given.Username != DashboardUser || given.Password != DashboardP {
		s.refuse(w, 401, "BAD_USERNAME_OR_PWD", "Auth failed")
		return
	}
	s.tokens++
	answer(w, 200, map[string]any{"token": s.token(), "version": s.version()})
}

func (s *Server) token() string { return fmt.Sprint(token, s.tokens) }

func (s *Server) loggedIn(r *http.Request) bool {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if s.faults.Expired {
			s.faults.Expired = false
			return false
		}
		return s.tokens > 0 && bearer == s.token()
	}
	user, password, _ := r.BasicAuth()
	return user == Key && password == Secret
}

func (s *Server) nodes(w http.ResponseWriter) {
	node := func(name, role string) map[string]any {
		return map[string]any{"node": name, "role": role, "node_status": "running", "edition": s.edition(), "version": s.version(), "uptime": 46533}
	}
	nodes := []map[string]any{node(Core, "core")}
	if s.faults.ToReplicant {
		nodes = append(nodes, node(Replicant, "replicant"))
	}
	answer(w, 200, nodes)
}

func listed(node, name string, file stored) map[string]any {
	return map[string]any{
		"node": node, "filename": name, "size": len(file.content),
		"created_at": file.created.Format(time.RFC3339)[:19] + "+00:00", "created_at_sec": file.created.Unix(),
	}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	var all []map[string]any
	for node, files := range s.files {
		for name, file := range files {
			all = append(all, listed(node, name, file))
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i]["filename"].(string) > all[j]["filename"].(string) })
	page, limit := number(r, "page", 1), number(r, "limit", 100)
	start := min((page-1)*limit, len(all))
	end := min(start+limit, len(all))
	answer(w, 200, map[string]any{
		"data": append([]map[string]any{}, all[start:end]...),
		"meta": map[string]any{"page": page, "limit": limit, "count": len(all), "hasnext": end < len(all)},
	})
}

func number(r *http.Request, key string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(key)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// upload takes an archive on the node that answers. A refused one stays there, as on the real server.
func (s *Server) upload(w http.ResponseWriter, name string, content []byte) {
	node := Core
	if s.faults.ToReplicant {
		node = Replicant
	}
	if _, there := s.files[node][name]; there {
		s.refuse(w, 400, "BAD_REQUEST", fmt.Sprintf("Backup file %q already exists", name))
		return
	}
	s.files[node][name] = stored{content: content, created: s.now()}
	found, err := read(name, content)
	if err == nil {
		err = found.allowed(s.version(), s.edition())
	}
	if err != nil {
		s.refuse(w, 400, "BAD_REQUEST", err.Error())
		return
	}
	w.WriteHeader(204)
}

func (s *Server) importFile(w http.ResponseWriter, body []byte) {
	var asked struct{ Filename, Node string }
	if err := json.Unmarshal(body, &asked); err != nil {
		s.refuse(w, 400, "BAD_REQUEST", err.Error())
		return
	}
	if asked.Node == "" {
		asked.Node = Core
	}
	if err := s.imported(asked.Node, asked.Filename); err != nil {
		s.refuse(w, 400, "BAD_REQUEST", err.Error())
		return
	}
	w.WriteHeader(204)
}

func (s *Server) imported(node, name string) error {
	if node == Replicant {
		return fmt.Errorf("backup data import is only allowed on core EMQX nodes, but requested node '%s' is not core", node)
	}
	file, there := s.files[node][name]
	if !there {
		return errors.New("backup file not found")
	}
	if s.faults.ImportFails != "" {
		return errors.New(s.faults.ImportFails)
	}
	found, err := read(name, file.content)
	if err == nil {
		err = found.allowed(s.version(), s.edition())
	}
	if err == nil {
		s.merge(found)
	}
	return err
}

func (s *Server) file(w http.ResponseWriter, r *http.Request, name string) {
	node := r.URL.Query().Get("node")
	if node == "" {
		node = Core
	}
	files, known := s.files[node]
	if !known {
		s.refuse(w, 400, "BAD_REQUEST", "Unknown node: "+node)
		return
	}
	file, there := files[name]
	switch {
	case !there:
		s.refuse(w, 404, "NOT_FOUND", "backup file not found")
	case r.Method == "GET":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(file.content)
	case r.Method == "DELETE":
		delete(files, name)
		w.WriteHeader(204)
	default:
		s.refuse(w, 405, "METHOD_NOT_ALLOWED", "")
	}
}

// count answers with a list's length; the lists themselves are left out.
func (s *Server) count(w http.ResponseWriter, path string) {
	authenticator, thereIs := s.authenticator()
	const acl = "authorization/sources/built_in_database/rules/"
	lengths := map[string]int{
		"banned":        len(s.state.tables["emqx_banned"].rows),
		"rules":         s.rules(),
		acl + "users":   s.acl(1),
		acl + "clients": s.acl(2),
	}
	if thereIs {
		lengths["authentication/password_based:built_in_database/users"] = len(s.state.tables["emqx_authn_mnesia"].rows)
		if path == "authentication/password_based:built_in_database" {
			answer(w, 200, authenticator)
			return
		}
	}
	length, known := lengths[path]
	if !known {
		s.refuse(w, 404, "NOT_FOUND", "not found")
		return
	}
	answer(w, 200, map[string]any{"data": []any{}, "meta": map[string]any{"count": length, "hasnext": length > 1, "limit": 1, "page": 1}})
}

// control is how tests in other languages set the stand-in up and look into it.
func (s *Server) control(w http.ResponseWriter, r *http.Request, path string) {
	body, _ := io.ReadAll(r.Body)
	switch r.Method + " " + path {
	case "POST reset":
		s.mutex.Lock()
		s.reset()
		s.mutex.Unlock()
	case "POST load":
		s.Load()
	case "POST user":
		s.AddUser(string(body))
	case "POST users":
		// Names that can't be packed well.
		count, _ := strconv.Atoi(string(body))
		for n := range count {
			sum := sha512.Sum512([]byte(strconv.Itoa(n)))
			name := hex.EncodeToString(sum[:])
			s.AddUser(name + strings.ToUpper(name) + name)
		}
	case "POST configuration":
		s.mutex.Lock()
		s.state.configuration = string(body)
		s.mutex.Unlock()
	case "POST faults":
		var faults Faults
		if err := json.Unmarshal(body, &faults); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		s.SetFaults(faults)
	case "POST file":
		s.mutex.Lock()
		s.files[Core][string(body)] = stored{content: []byte("left by somebody"), created: s.now()}
		s.mutex.Unlock()
	case "GET state":
		answer(w, 200, map[string]any{"rows": s.Rows(), "files": s.Files(), "calls": s.Calls()})
		return
	default:
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(204)
}
