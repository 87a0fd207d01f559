// Package cgroup puts the bed's processes into control groups, because that is
// the only way to find and kill all of them: a container's processes are not
// children of the bed, and a process may fork faster than it can be listed.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lifeboat.dev/e2e/bed/wait"
)

// Root is the name of the control group that holds all of the bed.
const Root = "lifeboat-bed"

// Hierarchies are the mount points of all control group hierarchies: one on a
// machine with cgroup v2 alone, one per controller plus a v2 one otherwise.
func Hierarchies() ([]string, error) {
	v1, v2, err := mounts()
	return append(v1, v2), err
}

// Unified is the mount point of the v2 hierarchy.
func Unified() (string, error) {
	_, v2, err := mounts()
	if err == nil && v2 == "" {
		err = errors.New("no cgroup v2 hierarchy is mounted")
	}
	return v2, err
}

// Memory is where memory is accounted, and whether in the way of cgroup v1.
func Memory() (dir string, isV1 bool, err error) {
	v1, v2, err := mounts()
	for _, dir := range v1 {
		if _, err := os.Stat(filepath.Join(dir, "memory.usage_in_bytes")); err == nil {
			return dir, true, nil
		}
	}
	return v2, false, err
}

func mounts() (v1 []string, v2 string, err error) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, "", err
	}
	for _, line := range strings.Split(string(table), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 3:
		case fields[2] == "cgroup":
			v1 = append(v1, fields[1])
		case fields[2] == "cgroup2" && v2 == "":
			v2 = fields[1]
		}
	}
	return v1, v2, nil
}

// Open makes a group in the v2 hierarchy and opens it, for a process to be
// started right inside it.
func Open(group string) (*os.File, error) {
	unified, err := Unified()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(unified, Root, group)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	return os.Open(dir)
}

// Ensure makes a group in every hierarchy, as kubelet wants its root to be.
func Ensure(group string) error {
	all, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		dir := hierarchy
		for _, part := range strings.Split(filepath.Join(Root, group), "/") {
			parent := dir
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make control group: %w", err)
			}
			if err := inheritCPUs(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUs fills in a new cpuset group of v1, which is empty, and useless, at first.
func inheritCPUs(parent, dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		if _, err := os.Stat(filepath.Join(dir, "cpuset.memory_migrate")); err != nil {
			return nil // not a v1 cpuset
		}
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), value, 0o644); err != nil {
			return fmt.Errorf("fill in %s: %w", name, err)
		}
	}
	return nil
}

// Pids lists the processes in a group and in the groups below it, in all hierarchies.
func Pids(group string) ([]int, error) {
	all, err := Hierarchies()
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	for _, hierarchy := range all {
		for _, dir := range tree(filepath.Join(hierarchy, Root, group)) {
			procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue // removed meanwhile
			}
			for _, field := range strings.Fields(string(procs)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					seen[pid] = true
				}
			}
		}
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	sort.Ints(pids)
	return pids, nil
}

// Kill kills all processes of a group, waits until they are gone and removes the
// group. It must not be used again: there are kernels that kill each process
// started right into a group that was ever killed.
func Kill(ctx context.Context, group string) error {
	if err := kill(ctx, group); err != nil {
		return err
	}
	return remove(ctx, group)
}

func kill(ctx context.Context, group string) error {
	unified, err := Unified()
	if err != nil {
		return err
	}
	return wait.For(ctx, "processes of "+group+" gone", 30*time.Second, func(context.Context) error {
		// The kernel kills the whole v2 group at once, whatever forks meanwhile.
		kill := filepath.Join(unified, Root, group, "cgroup.kill")
		if err := os.WriteFile(kill, []byte("1"), 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("kill control group: %w", err)
		}
		// What is only in a v1 hierarchy, or on a kernel without cgroup.kill, is killed one by one.
		pids, err := Pids(group)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if len(pids) > 0 {
			return fmt.Errorf("still there: %v", pids)
		}
		return nil
	})
}

// remove removes an empty group and the groups below it, in all hierarchies.
func remove(ctx context.Context, group string) error {
	all, err := Hierarchies()
	if err != nil {
		return err
	}
	// A group stays busy for a moment after its last process is gone.
	return wait.For(ctx, "control groups of "+group+" removed", 10*time.Second, func(context.Context) error {
		var failed error
		for _, hierarchy := range all {
			dirs := tree(filepath.Join(hierarchy, Root, group))
			for i := len(dirs) - 1; i >= 0; i-- {
				if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = err
				}
			}
		}
		return failed
	})
}

// Left lists the bed's groups that still exist.
func Left() []string {
	var left []string
	all, _ := Hierarchies()
	for _, hierarchy := range all {
		left = append(left, tree(filepath.Join(hierarchy, Root))...)
	}
	return left
}

// tree lists a directory and all directories below it, parents first.
func tree(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
