// Package postgres runs Debian's PostgreSQL, which the tests back up by commands.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lifeboat.dev/e2e/bed/wait"
)

// User and Password are those of the administrator. They are worth nothing outside of a test.
const (
	User     = "shop"
	Password = "shop-password"
)

// account is the user of this machine that a server runs as: it refuses to run as root.
const account = "postgres"

// startTimeout is how long a server may take to come up.
const startTimeout = time.Minute

// Programs is where Debian keeps the server and its tools.
func Programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed; `bed build` does it")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Server is a running server.
type Server struct {
	Host, Port string
	programs   string
	process    *exec.Cmd
	data       string
}

// Start starts an empty server that listens on an address of the machine's own; it ends with this
// process at the latest.
func Start(ctx context.Context, address string) (*Server, error) {
	programs, err := Programs()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "lifeboat-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{Host: address, programs: programs, data: data}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	secret := filepath.Join(s.data, "password")
	if err := os.WriteFile(secret, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	owner, err := user.Lookup(account)
	if err != nil {
		return err
	}
	uid, errUID := strconv.Atoi(owner.Uid)
	gid, errGID := strconv.Atoi(owner.Gid)
	if err := errors.Join(errUID, errGID, os.Chown(s.data, uid, gid), os.Chown(secret, uid, gid)); err != nil {
		return err
	}
	as := func(program string, args ...string) *exec.Cmd {
		command := exec.Command(filepath.Join(s.programs, program), args...)
		command.Dir = s.data
		command.Env = []string{"LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH")}
		command.SysProcAttr = &syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		}
		return command
	}
	cluster := filepath.Join(s.data, "cluster")
	if out, err := as("initdb", "--pgdata", cluster, "--username", User, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	rules := "host all all all scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(cluster, "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		return err
	}
	if err := os.Chown(filepath.Join(cluster, "pg_hba.conf"), uid, gid); err != nil {
		return err
	}
	if s.Port, err = freePort(s.Host); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.data, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = as("postgres", "-D", cluster, "-h", s.Host, "-p", s.Port, "-k", s.data, "-c", "fsync=off")
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	return wait.For(ctx, "PostgreSQL answers", startTimeout, func(ctx context.Context) error {
		_, err := s.SQL(ctx, "postgres", "select 1")
		return err
	})
}

// SQL runs statements with psql, and returns the rows as lines of values with tabs between.
func (s *Server) SQL(ctx context.Context, database, statements string) (string, error) {
	psql := exec.CommandContext(ctx, filepath.Join(s.programs, "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
		"--field-separator", "\t", "--set", "ON_ERROR_STOP=1", "--dbname", database, "--file", "-")
	psql.Stdin = strings.NewReader(statements)
	psql.Env = []string{"PGHOST=" + s.Host, "PGPORT=" + s.Port, "PGUSER=" + User, "PGPASSWORD=" + Password, "PGCONNECT_TIMEOUT=10"}
	var errs strings.Builder
	psql.Stderr = &errs
	out, err := psql.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}

// Stop kills the server and removes its data.
func (s *Server) Stop() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT) // at once, with its children
		_ = s.process.Wait()
	}
	_ = os.RemoveAll(s.data)
}

func freePort(address string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
