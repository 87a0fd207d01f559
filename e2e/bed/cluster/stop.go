package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/mounts"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/service"
)

// Stop kills a cluster as a power cut would: every process, pods included, and
// its address does not answer any more. What is on its disk stays.
func Stop(ctx context.Context, dirs layout.Dirs, c layout.Cluster) error {
	if err := service.KillGroup(ctx, dirs, c.Name); err != nil {
		return fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	if err := Clean(ctx, dirs, c); err != nil {
		return fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return nil
}

// Clean removes what a reboot of a real node would: mounts, pod networks and
// the runtime's state. Containers that a crash has left are killed first.
func Clean(ctx context.Context, dirs layout.Dirs, c layout.Cluster) error {
	n := &node{Cluster: c, dirs: dirs}
	if err := service.KillGroup(ctx, dirs, c.Name); err != nil {
		return err
	}
	// The address of a shim's socket is in the runtime's state, so it comes first.
	if err := removeShimSockets(n.runtime()); err != nil {
		return err
	}
	for _, dir := range []string{n.run(), n.runtime()} {
		if err := mounts.Detach(dir); err != nil {
			return err
		}
	}
	if err := network.Delete(ctx, c.Netns, c.Address); err != nil {
		return err
	}
	if err := os.RemoveAll(n.runtime()); err != nil {
		return err
	}
	return removeOutside(n)
}

// removeShimSockets removes the sockets of containerd's shims. They are in a directory
// that all containerds of a machine share, and stay when a shim is killed.
func removeShimSockets(runtime string) error {
	files, err := filepath.Glob(filepath.Join(runtime, "containerd", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return err
	}
	for _, file := range files {
		address, err := os.ReadFile(file)
		if err != nil {
			continue // a mount that went away, or a shim that never got that far
		}
		path, ok := strings.CutPrefix(strings.TrimSpace(string(address)), "unix://")
		if !ok {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeOutside removes what kubelet and the network plugins write to fixed places.
func removeOutside(n *node) error {
	var ours []string
	results, err := filepath.Glob("/var/lib/cni/results/*")
	if err != nil {
		return err
	}
	for _, result := range results {
		// A result tells the path of the pod's network namespace, which is below the runtime's directory.
		if text, err := os.ReadFile(result); err == nil && strings.Contains(string(text), n.runtime()+"/") {
			ours = append(ours, result)
		}
	}
	links, err := filepath.Glob("/var/log/containers/*")
	if err != nil {
		return err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, n.run()+"/") {
			ours = append(ours, link)
		}
	}
	for _, path := range ours {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
