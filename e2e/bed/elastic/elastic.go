// Package elastic runs real Elasticsearch 7.10.2 servers. The vendor's own distribution is in no
// package registry; a library of Maven's that runs the server within a program is, so that is built
// once and started with a little Java around it.
package elastic

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lifeboat.dev/e2e/bed/layout"
)

//go:embed pom.xml
var pom []byte

//go:embed Elastic.java
var program []byte

// startTimeout is how long a server may take to come up, beside another one.
const startTimeout = 2 * time.Minute

// Directory is where the server and its program are kept once they are built.
func Directory(dirs layout.Dirs) string { return filepath.Join(dirs.Home, "elastic") }

// Build downloads the server and compiles the program, unless that was done. `run` runs a command
// in a directory.
func Build(directory string, run func(what, directory string, argv ...string) error) error {
	sum := sha256.Sum256(append(append([]byte{}, pom...), program...))
	want, stamp := hex.EncodeToString(sum[:]), filepath.Join(directory, "built")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"pom.xml": pom, "Elastic.java": program} {
		if err := os.WriteFile(filepath.Join(directory, name), data, 0o644); err != nil {
			return err
		}
	}
	if err := run("downloading Elasticsearch", directory, "mvn", "--quiet", "--batch-mode",
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"); err != nil {
		return err
	}
	if err := run("compiling the program around it", directory, "javac", "-cp", "lib/*", "-d", "classes", "Elastic.java"); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// Server is a running server with one node and 512 MiB of memory.
type Server struct {
	URL     string
	process *exec.Cmd
	data    string
}

// Start starts a server that listens on an address of the machine's own; it ends with this process
// at the latest. Its indices have no replicas unless they ask for some.
func Start(ctx context.Context, directory, address string) (*Server, error) {
	data, err := os.MkdirTemp("", "lifeboat-elastic-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(data, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process := exec.Command("java", "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", "classes:lib/*", "Elastic", address, filepath.Join(data, "node"))
	process.Dir = directory
	process.Stderr = log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	server := &Server{process: process, data: data}
	if server.URL, err = awaitURL(ctx, output); err == nil {
		err = server.prepare(ctx)
	}
	if err != nil {
		words, _ := os.ReadFile(log.Name())
		server.Stop()
		return nil, fmt.Errorf("start Elasticsearch: %w\n%s", err, words)
	}
	return server, nil
}

// StartAll starts servers at once.
func StartAll(ctx context.Context, directory, address string, count int) ([]*Server, error) {
	servers, errs := make([]*Server, count), make([]error, count)
	var started sync.WaitGroup
	for n := range count {
		started.Go(func() { servers[n], errs[n] = Start(ctx, directory, address) })
	}
	started.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, server := range servers {
			if server != nil {
				server.Stop()
			}
		}
		return nil, err
	}
	return servers, nil
}

// Stop kills the server and removes its data.
func (s *Server) Stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = os.RemoveAll(s.data)
}

// awaitURL reads the first line that is a URL, and goes on reading so that the server can write.
func awaitURL(ctx context.Context, output io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		defer close(found)
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "http://") {
				found <- lines.Text()
				break
			}
		}
		_, _ = io.Copy(io.Discard, output)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case url, ok := <-found:
		if !ok {
			return "", errors.New("it ended")
		}
		return url, nil
	case <-ctx.Done():
		return "", fmt.Errorf("it does not answer: %w", ctx.Err())
	}
}

// prepare makes a single node enough for indices to be whole.
func (s *Server) prepare(ctx context.Context) error {
	template := `{"index_patterns": ["*"], "order": -1, "settings": {"number_of_replicas": 0}}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.URL+"/_template/one-node", strings.NewReader(template))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("make a template: %s", response.Status)
	}
	return nil
}
