package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/layout"
)

//go:embed files
var files embed.FS

// values are what the configuration files are filled in with.
type values struct {
	layout.Cluster
	Run        string // the cluster's directory
	Runtime    string // the cluster's directory for sockets
	CgroupRoot string
	Hosts      string
	PauseImage string
}

// configure writes the configuration file of every component.
func (n *node) configure() error {
	v := values{
		Cluster:    n.Cluster,
		Run:        n.run(),
		Runtime:    n.runtime(),
		CgroupRoot: "/" + cgroup.Root + "/" + n.Name,
		Hosts:      n.dirs.Run("hosts"),
		PauseImage: PauseImage,
	}
	entries, err := files.ReadDir("files")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := n.run("config", entry.Name())
		if entry.Name() == "10-pods.conflist" {
			path = n.run("config", "cni", entry.Name()) // containerd wants a directory of its own for it
		}
		t, err := template.ParseFS(files, "files/"+entry.Name())
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, v); err != nil {
			return fmt.Errorf("fill in %s: %w", entry.Name(), err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		// kube-proxy ends when its file is written, be it with the same.
		if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, text.Bytes()) {
			continue
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
