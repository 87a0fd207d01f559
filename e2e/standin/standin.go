// Package standin holds stand-ins for servers that no registry has. Each is written from its
// protocol's documents, keeps state (what is put in is read back), and is held to the recorded
// conversations in testdata, so that it can't drift to suit Lifeboat. A test may run one in its own
// process; `go run ./cmd/standin` runs one for others.
package standin

import (
	"fmt"
	"net"
	"sort"
	"strings"

	"lifeboat.dev/e2e/standin/cnosdb"
	"lifeboat.dev/e2e/standin/emqx"
	"lifeboat.dev/e2e/standin/gcs"
	"lifeboat.dev/e2e/standin/rethinkdb"
)

// Server is a stand-in. It serves until the listener is closed.
type Server interface {
	Serve(listener net.Listener) error
}

// makers make an empty stand-in by the name of its system.
var makers = map[string]func() Server{
	"cnosdb":    func() Server { return cnosdb.New() },
	"gcs":       func() Server { return gcs.New() },
	"rethinkdb": func() Server { return rethinkdb.New("s1", "s2", "s3") },
	"emqx":      func() Server { return emqx.New() },
}

// New makes an empty stand-in for a system.
func New(system string) (Server, error) {
	make, ok := makers[system]
	if !ok {
		return nil, fmt.Errorf("there is no stand-in for %q; there are: %s", system, strings.Join(Systems(), ", "))
	}
	return make(), nil
}

// Systems are the names of all systems that have a stand-in.
func Systems() []string {
	names := make([]string, 0, len(makers))
	for name := range makers {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
