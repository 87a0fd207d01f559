// Package influx runs InfluxDB 1.x servers, each with an address of its own.
package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/hosts"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/service"
	"lifeboat.dev/e2e/bed/wait"
)

// Group is the group of the servers' services.
const Group = "influx"

// Server is one InfluxDB server.
type Server struct {
	Name    string `json:"name"`
	Netns   string `json:"netns"`
	Address string `json:"address"`
	Auth    bool   `json:"auth"`
}

// URL is the server's address for HTTP.
func (s Server) URL() string { return "http://" + s.Address + ":8086" }

// The name is part of a host name and of the name of a network namespace.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

// Start starts a server, and makes it if there is none of that name.
func Start(ctx context.Context, dirs layout.Dirs, name string, auth bool) (Server, error) {
	s, err := Find(dirs, name)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = create(dirs, name, auth)
	}
	if err != nil {
		return s, err
	}
	if auth && !s.Auth {
		return s, fmt.Errorf("%s exists already, without authentication; remove it with --delete first", name)
	}
	if err := network.Ensure(ctx, s.Netns, s.Address); err != nil {
		return s, err
	}
	if err := hosts.Set(dirs, s.Name, s.Address); err != nil {
		return s, err
	}
	if err := service.Start(dirs, service.Service{
		Group: Group, Name: s.Name, Netns: s.Netns, Dir: dir(dirs, s.Name),
		// No file: everything is set by the environment.
		Argv: []string{dirs.Bin("influxd"), "run", "-config", os.DevNull},
		Env: []string{
			"INFLUXDB_REPORTING_DISABLED=true",
			"INFLUXDB_META_DIR=" + dir(dirs, s.Name, "meta"),
			"INFLUXDB_DATA_DIR=" + dir(dirs, s.Name, "data"),
			"INFLUXDB_DATA_WAL_DIR=" + dir(dirs, s.Name, "wal"),
			"INFLUXDB_HTTP_BIND_ADDRESS=:8086",
			"INFLUXDB_HTTP_AUTH_ENABLED=" + strconv.FormatBool(s.Auth),
			"INFLUXDB_BIND_ADDRESS=:8088", // of backup and restore
		},
	}); err != nil {
		return s, err
	}
	if err := wait.For(ctx, s.Name+" ready", 60*time.Second, wait.HTTP(http.DefaultClient, s.URL()+"/ping")); err != nil {
		return s, fmt.Errorf("%w; see %s", err, service.LogFile(dirs, Group, s.Name))
	}
	if s.Auth {
		return s, createAdmin(ctx, s)
	}
	return s, nil
}

// createAdmin makes the first user, which is the one thing a server with
// authentication lets anybody do. Made again with the same password, it is no error.
func createAdmin(ctx context.Context, s Server) error {
	query := url.Values{
		"q": {fmt.Sprintf("CREATE USER %s WITH PASSWORD '%s' WITH ALL PRIVILEGES", layout.InfluxAdmin, layout.InfluxAdminPassword)},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/query", strings.NewReader(query.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(layout.InfluxAdmin, layout.InfluxAdminPassword) // once it exists
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || strings.Contains(string(answer), `"error"`) {
		return fmt.Errorf("create the administrator of %s: %s: %s", s.Name, response.Status, answer)
	}
	return nil
}

// Stop stops a server and keeps its data.
func Stop(ctx context.Context, dirs layout.Dirs, name string) error {
	if _, err := Find(dirs, name); err != nil {
		return err
	}
	return service.Stop(ctx, dirs, Group, name)
}

// Delete stops a server and removes all of it.
func Delete(ctx context.Context, dirs layout.Dirs, name string) error {
	s, err := Find(dirs, name)
	if err != nil {
		return err
	}
	if err := service.Kill(ctx, dirs, Group, name); err != nil {
		return err
	}
	if err := network.Delete(ctx, s.Netns, s.Address); err != nil {
		return err
	}
	if err := hosts.Remove(dirs, name); err != nil {
		return err
	}
	return os.RemoveAll(dir(dirs, name))
}

// List lists all servers, running or not.
func List(dirs layout.Dirs) []Server {
	files, _ := filepath.Glob(dir(dirs, "*", "server.json"))
	var all []Server
	for _, path := range files {
		if s, err := Find(dirs, filepath.Base(filepath.Dir(path))); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// Find looks up a server.
func Find(dirs layout.Dirs, name string) (Server, error) {
	var s Server
	data, err := os.ReadFile(dir(dirs, name, "server.json"))
	if err != nil {
		return s, fmt.Errorf("no InfluxDB server named %q: %w", name, err)
	}
	return s, json.Unmarshal(data, &s)
}

func dir(dirs layout.Dirs, name string, parts ...string) string {
	return dirs.Run(append([]string{"influx", name}, parts...)...)
}

func create(dirs layout.Dirs, name string, auth bool) (Server, error) {
	if !validName.MatchString(name) {
		return Server{}, fmt.Errorf("%q is no name for a server: lower-case letters, digits and dashes only", name)
	}
	s := Server{Name: name, Netns: "lb-influx-" + name, Auth: auth}
	for _, fixed := range []layout.Influx{layout.InfluxPrimary, layout.InfluxStandby} {
		if fixed.Name == name {
			s.Netns, s.Address = fixed.Netns, fixed.Address
		}
	}
	if s.Address == "" {
		address, err := freeAddress(dirs)
		if err != nil {
			return s, err
		}
		s.Address = address
	}
	data, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	if err := os.MkdirAll(dir(dirs, name), 0o755); err != nil {
		return s, err
	}
	return s, os.WriteFile(dir(dirs, name, "server.json"), data, 0o644)
}

func freeAddress(dirs layout.Dirs) (string, error) {
	taken := map[string]bool{}
	for _, s := range List(dirs) {
		taken[s.Address] = true
	}
	for last := layout.FirstExtraAddress; last <= layout.LastExtraAddress; last++ {
		if address := layout.ExtraAddressPrefix + strconv.Itoa(last); !taken[address] {
			return address, nil
		}
	}
	return "", errors.New("no address is left for another server")
}
