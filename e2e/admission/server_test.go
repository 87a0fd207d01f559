package admission

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// A real API server with its store, and nothing else: rules of definitions need no node. It listens
// on the loopback address only and keeps its state in a directory of its own, so it meets neither
// the bed's clusters nor what Helm installs there.
type server struct {
	dir       string
	processes []*exec.Cmd
}

// kubectl talks to the API server of these tests.
var kubectl kit.Kubectl

var root string

func TestMain(m *testing.M) {
	if onCurrent, err := kit.OnCurrent(); err == nil && onCurrent {
		fmt.Println("skipped: they start an API server of their own, which CLUSTER=current does not build")
		return
	}
	// The children are tied to this thread: they end when it does, however that comes about.
	runtime.LockOSThread()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var err error
	if root, err = kit.RepositoryRoot(); err != nil {
		return 1, err
	}
	dirs, err := layout.Find()
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(dirs.Bin("kube-apiserver")); err != nil {
		return 1, fmt.Errorf("build the test bed first, with make bed-build: %w", err)
	}
	dir, err := os.MkdirTemp("", "lifeboat-admission-")
	if err != nil {
		return 1, err
	}
	s := &server{dir: dir}
	defer s.stop()
	if err := s.start(ctx, dirs); err != nil {
		return 1, err
	}
	if _, err := kubectl.Run(ctx, "", "apply", "-f", filepath.Join(root, "crds")); err != nil {
		return 1, err
	}
	for _, group := range []string{"backups", "backupschedules", "restores", "restoreschedules", "storagelocations"} {
		if _, err := kubectl.Run(ctx, "", "wait", "--for=condition=Established", "--timeout=1m", "crd/"+group+".lifeboat.dev"); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

func (s *server) start(ctx context.Context, dirs layout.Dirs) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	token, err := s.secrets()
	if err != nil {
		return err
	}
	if err := s.spawn(dirs.Bin("etcd"),
		"--data-dir="+s.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
	); err != nil {
		return err
	}
	if err := s.spawn(dirs.Bin("kube-apiserver"),
		"--etcd-servers="+client, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2],
		"--cert-dir="+s.path("certificates"), "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/24",
		"--authorization-mode=RBAC", "--token-auth-file="+s.path("tokens.csv"), "--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+s.path("account.key"), "--service-account-signing-key-file="+s.path("account.key"),
	); err != nil {
		return err
	}
	kubectl = kit.Kubectl{Binary: dirs.Bin("kubectl"), Kubeconfig: s.path("kubeconfig")}
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "https://127.0.0.1:%s", insecure-skip-tls-verify: true}}]
users: [{name: it, user: {token: %s}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
current-context: it
`, ports[2], token)
	if err := os.WriteFile(kubectl.Kubeconfig, []byte(config), 0o600); err != nil {
		return err
	}
	return kit.Await(ctx, "the API server is ready", 2*time.Minute, func() (bool, string, error) {
		out, err := kubectl.Run(ctx, "", "get", "--raw", "/readyz")
		return err == nil && out == "ok", out, err
	})
}

// secrets writes the key that signs tokens and the administrator's token.
func (s *server) secrets() (string, error) {
	bytes := make([]byte, 16)
	if _, err := rand.Read(bytes); err != nil {
		return "", err
	}
	token := hex.EncodeToString(bytes)
	line := token + `,admin,admin,"system:masters"` + "\n"
	if err := os.WriteFile(s.path("tokens.csv"), []byte(line), 0o600); err != nil {
		return "", err
	}
	return token, writeKey(s.path("account.key"))
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) spawn(binary string, args ...string) error {
	log, err := os.Create(s.path(filepath.Base(binary) + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(binary, args...)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	s.processes = append(s.processes, process)
	return nil
}

// stop ends what was started, the API server before its store, and removes all of it.
func (s *server) stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		process := s.processes[i]
		if err := process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(os.Stderr, "admission: end", process.Path, err)
			continue
		}
		_ = process.Wait()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
	}
}

func freePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
