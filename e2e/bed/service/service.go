// Package service starts and stops the bed's long-running processes. They
// outlive the bed command, so what runs is remembered in files.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/wait"
)

// Mark is the environment variable by which the bed's processes, and what they
// have started, are known even when they are in no control group of the bed.
const Mark = "LIFEBOAT_BED_OF"

// Service is a process to start.
type Service struct {
	Group string   // what it belongs to: a cluster, or "store"
	Name  string   // unique within the group
	Netns string   // the network namespace to start it in; empty for the machine's own
	Argv  []string // with the full path of the program
	Env   []string // in addition to the bed's own
	Dir   string   // the working directory
}

// record is what is remembered of a started service.
type record struct {
	Pid       int      `json:"pid"`
	StartTime string   `json:"startTime"`
	Argv      []string `json:"argv"`
}

func file(dirs layout.Dirs, group, name string) string {
	return dirs.Run("services", group, name+".json")
}

// LogFile is where a service's output goes.
func LogFile(dirs layout.Dirs, group, name string) string {
	return dirs.Logs(group, name+".log")
}

// closeInherited has no service keep what this process got from its own starter: a lock or a pipe
// would be held for as long as the service lives.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// Start starts a service unless it is running.
func Start(dirs layout.Dirs, s Service) error {
	if Pid(dirs, s.Group, s.Name) != 0 {
		return nil
	}
	record := file(dirs, s.Group, s.Name)
	log := LogFile(dirs, s.Group, s.Name)
	for _, dir := range []string{filepath.Dir(record), filepath.Dir(log)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	group, err := cgroup.Open(filepath.Join(s.Group, s.Name))
	if err != nil {
		return err
	}
	defer group.Close()

	if err := closeInherited(); err != nil {
		return err
	}
	argv := s.Argv
	if s.Netns != "" {
		// Not `ip netns exec`: that mounts a /sys without the control groups kubelet needs.
		argv = append([]string{"nsenter", "--net=" + network.Path(s.Netns)}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), s.Env...), Mark+"="+dirs.Home)
	cmd.Dir = s.Dir
	cmd.Stdout = output
	cmd.Stderr = output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true, // so that it survives the bed and its terminal
		UseCgroupFD: true,
		CgroupFD:    int(group.Fd()),
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s/%s: %w", s.Group, s.Name, err)
	}
	// The bed may live on for minutes: without this a service that dies stays as a zombie.
	go func() { _ = cmd.Wait() }()
	return remember(record, cmd.Process.Pid, s.Argv)
}

func remember(path string, pid int, argv []string) error {
	started, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("%s ended at once: %w", argv[0], err)
	}
	data, err := json.Marshal(record{Pid: pid, StartTime: started, Argv: argv})
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// Pid is the process id of a running service, or 0. A process id is used again
// by the kernel sooner or later, so the time of the start must match as well.
func Pid(dirs layout.Dirs, group, name string) int {
	data, err := os.ReadFile(file(dirs, group, name))
	if err != nil {
		return 0
	}
	var r record
	if json.Unmarshal(data, &r) != nil {
		return 0
	}
	if started, err := startTime(r.Pid); err != nil || started != r.StartTime {
		return 0
	}
	return r.Pid
}

// startTime is the start of a process in clock ticks since boot; an error for a zombie.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field, the name, may hold spaces and parentheses.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", fmt.Errorf("unexpected form of /proc/%d/stat", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[19], nil
}

// Stop asks a service to end, then kills it and all that it started.
func Stop(ctx context.Context, dirs layout.Dirs, group, name string) error {
	if pid := Pid(dirs, group, name); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		_ = wait.For(ctx, name+" ended", 5*time.Second, func(context.Context) error {
			if Pid(dirs, group, name) != 0 {
				return errors.New("still running")
			}
			return nil
		})
	}
	return Kill(ctx, dirs, group, name)
}

// Kill kills a service and all that it started, at once.
func Kill(ctx context.Context, dirs layout.Dirs, group, name string) error {
	if err := cgroup.Kill(ctx, filepath.Join(group, name)); err != nil {
		return err
	}
	return forget(file(dirs, group, name))
}

// KillGroup kills all services of a group and all that they started, at once.
func KillGroup(ctx context.Context, dirs layout.Dirs, group string) error {
	if err := cgroup.Kill(ctx, group); err != nil {
		return err
	}
	return os.RemoveAll(dirs.Run("services", group))
}

func forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Status is the state of one service.
type Status struct {
	Group, Name string
	Pid         int // 0 when it is not running
}

// List lists all services that were started and not stopped.
func List(dirs layout.Dirs) []Status {
	files, _ := filepath.Glob(dirs.Run("services", "*", "*.json"))
	sort.Strings(files)
	var all []Status
	for _, path := range files {
		group := filepath.Base(filepath.Dir(path))
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		all = append(all, Status{group, name, Pid(dirs, group, name)})
	}
	return all
}
