// Package layout says where everything of the test bed is: its directories,
// names and addresses. It holds no behaviour, so that tests can import it.
package layout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RuntimeDir holds sockets and little else. Unix socket paths may not be longer
// than 108 characters, which a path below a checkout easily is. It is also what
// marks a bed as being up: see Home.
const RuntimeDir = "/run/lifeboat-bed"

// homeFile names the home of the bed that is up.
const homeFile = RuntimeDir + "/home"

// Dirs are the directories of one bed.
type Dirs struct{ Home string }

// Find returns the directories to use: of the bed that is up (there can be only
// one on a machine, so every checkout talks to it), otherwise $LIFEBOAT_BED_DIR,
// otherwise target/bed of the checkout that the working directory is in.
func Find() (Dirs, error) {
	if home, err := os.ReadFile(homeFile); err == nil {
		return Dirs{Home: strings.TrimSpace(string(home))}, nil
	}
	if home := os.Getenv("LIFEBOAT_BED_DIR"); home != "" {
		abs, err := filepath.Abs(home)
		return Dirs{Home: abs}, err
	}
	repo, err := Repo()
	if err != nil {
		return Dirs{}, err
	}
	// Mounts are listed by their real path, so symbolic links are resolved here, once.
	if repo, err = filepath.EvalSymlinks(repo); err != nil {
		return Dirs{}, err
	}
	return Dirs{Home: filepath.Join(repo, "target", "bed")}, nil
}

// Claim makes d the home of the bed that is up.
func (d Dirs) Claim() error {
	if err := os.MkdirAll(RuntimeDir, 0o755); err != nil {
		return fmt.Errorf("make the runtime directory: %w", err)
	}
	return os.WriteFile(homeFile, []byte(d.Home+"\n"), 0o644)
}

// Repo is the root of the checkout that the working directory is in.
func Repo() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "e2e", "bed", "components")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a checkout of the project, and LIFEBOAT_BED_DIR is not set")
		}
		dir = parent
	}
}

// Bin is the path of a binary of the bed.
func (d Dirs) Bin(name string) string { return filepath.Join(d.Home, "bin", name) }

// Images is where the bed's own images are kept, as docker archives.
func (d Dirs) Images() string { return filepath.Join(d.Home, "images") }

// Run is a path below the directory that `bed down` removes.
func (d Dirs) Run(parts ...string) string {
	return filepath.Join(append([]string{d.Home, "run"}, parts...)...)
}

// Logs is a path below the log directory. Logs outlive `bed down`, since they
// are most wanted when something went wrong.
func (d Dirs) Logs(parts ...string) string {
	return filepath.Join(append([]string{d.Home, "logs"}, parts...)...)
}

// Kubeconfig is the administrator's kubeconfig of a cluster.
func (d Dirs) Kubeconfig(cluster string) string { return d.Run(cluster + ".kubeconfig") }

// StoreCA is the certificate authority of the object store's https address.
func (d Dirs) StoreCA() string { return d.Run("store", "pki", "ca.crt") }
