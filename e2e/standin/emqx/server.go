// Package emqx is a stand-in for an EMQX 5 cluster's REST API: what exports and imports need of it.
// Its state is what an archive holds, table by table and row by row, so an import is seen in the
// counts and in the next export. Its words are those of the recorded 5.4.1 (testdata).
package emqx

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:embed testdata/emqx-export-2026-11-20-10-30-42.810.tar.gz
var recorded []byte

// RecordedName is the name of the recorded archive.
const RecordedName = "emqx-export-2026-11-20-10-30-42.810.tar.gz"

// The logins that it takes.
const (
	Key, Secret               = "lifeboat-key", "lifeboat-secret-key"
	DashboardUser, DashboardP = "lifeboat-admin", "lifeboat-dashboard-password"
	token                     = "stand-in-token"
)

// Core and Replicant are its nodes; the second is there when a fault asks for it.
const (
	Core      = "emqx@127.0.0.1"
	Replicant = "emqx@replicant"
)

// Faults are what goes wrong, and what the cluster is.
type Faults struct {
	// Version and Edition (Opensource or Enterprise); empty: 5.4.1, Opensource.
	Version, Edition string
	// Renamed archives have another directory in them than their name says.
	Renamed bool
	// Cut archives lack their last bytes.
	Cut bool
	// ToReplicant: there is a replicant node, and uploads come to it.
	ToReplicant bool
	// Objects: errors have a text for each namespace, as in 6.x.
	Objects bool
	// ImportFails with this text.
	ImportFails string
	// LosesUsers: imports are acknowledged, and bring no users.
	LosesUsers bool
	// ExportLosesUsers: archives lack the users.
	ExportLosesUsers bool
	// Expired: the token of a dashboard user has to be asked for anew, once.
	Expired bool
}

type stored struct {
	content []byte
	created time.Time
}

// Server is a cluster.
type Server struct {
	mutex  sync.Mutex
	faults Faults
	state  contents
	files  map[string]map[string]stored
	tokens int
	calls  []string
	now    func() time.Time
}

// New makes a cluster that was just set up: no users, no rules.
func New() *Server {
	s := &Server{now: time.Now}
	s.reset()
	return s
}

func (s *Server) reset() {
	s.faults = Faults{}
	s.calls = nil
	s.files = map[string]map[string]stored{Core: {}, Replicant: {}}
	s.state = contents{tables: map[string]*table{}}
	// The tables are there, and empty.
	for name, t := range recordedContents().tables {
		s.state.tables[name] = &table{head: t.head, rows: map[string][]byte{}}
	}
}

func recordedContents() *contents {
	c, err := read(RecordedName, recorded)
	if err != nil {
		panic(err)
	}
	return c
}

// Load fills the cluster with what the recorded archive holds.
func (s *Server) Load() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.merge(recordedContents())
}

// SetFaults says what goes wrong from now on.
func (s *Server) SetFaults(faults Faults) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults = faults
}

// AddUser adds a user with a password.
func (s *Server) AddUser(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	key, row := user(name)
	s.state.tables["emqx_authn_mnesia"].put(key, row)
}

// HasUser says whether a user of that name may log in.
func (s *Server) HasUser(name string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	key, _ := user(name)
	_, there := s.state.tables["emqx_authn_mnesia"].rows[key]
	return there
}

// Rows is how many rows each table has.
func (s *Server) Rows() map[string]int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	rows := map[string]int{}
	for name, t := range s.state.tables {
		rows[name] = len(t.rows)
	}
	return rows
}

// Files are the archives that lie on any node.
func (s *Server) Files() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	names := []string{}
	for _, files := range s.files {
		for name := range files {
			names = append(names, name)
		}
	}
	return names
}

// Calls are the requests that came, as `POST /api/v5/data/export`.
func (s *Server) Calls() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]string{}, s.calls...)
}

// Serve serves until the listener is closed.
func (s *Server) Serve(listener net.Listener) error {
	return (&http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}

func (s *Server) version() string {
	if s.faults.Version != "" {
		return s.faults.Version
	}
	return "5.4.1"
}

func (s *Server) edition() string {
	if s.faults.Edition != "" {
		return s.faults.Edition
	}
	return "Opensource"
}

// merge is an import: rows of the same key are replaced, all others stay. The configuration is
// replaced as a whole, which the real server does not do.
func (s *Server) merge(c *contents) {
	if c.configuration != "" {
		s.state.configuration = c.configuration
	}
	for name, from := range c.tables {
		if s.faults.LosesUsers && name == "emqx_authn_mnesia" {
			continue
		}
		into := s.state.tables[name]
		if into == nil {
			into = &table{head: from.head, rows: map[string][]byte{}}
			s.state.tables[name] = into
		}
		for _, key := range from.keys {
			into.put(key, from.rows[key])
		}
	}
}

// export writes an archive on the core node.
func (s *Server) export() (name string, file stored) {
	now := s.now().UTC()
	base := "emqx-export-" + now.Format("2006-01-02-15-04-05.000")
	c := contents{version: s.version(), edition: "ce", configuration: s.state.configuration, tables: map[string]*table{}}
	if s.edition() == "Enterprise" {
		c.edition = "ee"
	}
	for name, t := range s.state.tables {
		if s.faults.ExportLosesUsers && name == "emqx_authn_mnesia" {
			t = &table{head: t.head}
		}
		c.tables[name] = t
	}
	inside := base
	if s.faults.Renamed {
		inside = "emqx-export-2001-01-01-00-00-00.000"
	}
	file = stored{content: pack(inside, &c), created: now}
	if s.faults.Cut {
		file.content = file.content[:len(file.content)/2]
	}
	name = base + ".tar.gz"
	s.files[Core][name] = file
	return name, file
}

// The configuration as the server writes it: enough of it to be counted.
var (
	ruleEngine  = regexp.MustCompile(`(?ms)^rule_engine \{\n(.*?)^\}`)
	rulesBlock  = regexp.MustCompile(`(?ms)^  rules \{\n(.*?)^  \}`)
	rule        = regexp.MustCompile(`(?m)^    \S+ \{$`)
	saltSetting = regexp.MustCompile(`salt_position = (\w+)`)
)

func (s *Server) rules() int {
	engine := ruleEngine.FindStringSubmatch(s.state.configuration)
	if engine == nil {
		return 0
	}
	rules := rulesBlock.FindStringSubmatch(engine[1])
	if rules == nil {
		return 0
	}
	return len(rule.FindAllString(rules[1], -1))
}

// acl counts the rows of emqx_acl: 1 is a user, 2 a client.
func (s *Server) acl(kind byte) int {
	count := 0
	for key := range s.state.tables["emqx_acl"].rows {
		if strings.HasPrefix(key, string([]byte{104, 2, 97, kind})) {
			count++
		}
	}
	return count
}

func (s *Server) authenticator() (map[string]any, bool) {
	if !strings.Contains(s.state.configuration, "mechanism = password_based") {
		return nil, false
	}
	salt := saltSetting.FindStringSubmatch(s.state.configuration)
	if salt == nil {
		return nil, false
	}
	return map[string]any{
		"id": "password_based:built_in_database", "mechanism": "password_based", "backend": "built_in_database",
		"password_hash_algorithm": map[string]string{"name": "sha256", "salt_position": salt[1]},
	}, true
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprint("an answer that is no JSON: ", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
