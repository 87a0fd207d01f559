package memory

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
)

type watcher struct {
	dirs layout.Dirs
	root string // where the bed's memory groups are
	isV1 bool
	pods map[string]*pod // by identifier
}

// pod is what the watcher remembers of a pod.
type pod struct {
	peak       Peak
	processes  map[string]int64 // VmHWM by process id
	containers map[string]int64 // the control group's own peak by container
}

// look looks at all pods of a cluster once.
func (w *watcher) look(c layout.Cluster) {
	kubepods := filepath.Join(w.root, c.Name, "kubepods")
	var dirs []string
	for _, pattern := range []string{"pod*", "burstable/pod*", "besteffort/pod*"} {
		found, _ := filepath.Glob(filepath.Join(kubepods, pattern))
		dirs = append(dirs, found...)
	}
	if len(dirs) == 0 {
		return
	}
	names := podNames(w.dirs, c.Name)
	for _, dir := range dirs {
		id := strings.TrimPrefix(filepath.Base(dir), "pod")
		if w.pods[id] == nil {
			w.pods[id] = &pod{processes: map[string]int64{}, containers: map[string]int64{}}
		}
		w.pods[id].look(dir, w.isV1)
		if name, ok := names[id]; ok {
			w.pods[id].save(file(w.dirs, c.Name, name))
		}
	}
}

func (p *pod) look(dir string, isV1 bool) {
	containers, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	var anonymous int64
	for _, procs := range containers {
		container := filepath.Dir(procs)
		pids, err := os.ReadFile(procs)
		if err != nil {
			continue // ended meanwhile
		}
		for _, pid := range strings.Fields(string(pids)) {
			// Until runc has started the container's own program, the process is runc.
			if program, _ := os.ReadFile("/proc/" + pid + "/comm"); strings.HasPrefix(string(program), "runc") {
				continue
			}
			high := statusField(pid, "VmHWM:")
			p.processes[pid] = max(p.processes[pid], high)
		}
		anonymousField, peakFile := "anon ", "memory.peak"
		if isV1 {
			anonymousField, peakFile = "rss ", "memory.max_usage_in_bytes"
		}
		anonymous += statField(container, anonymousField)
		p.containers[container] = max(p.containers[container], number(filepath.Join(container, peakFile)))
	}
	p.peak.Resident, p.peak.WithCache = sum(p.processes), sum(p.containers)
	p.peak.Anonymous = max(p.peak.Anonymous, anonymous)
	p.peak.Kernel = max(p.peak.Kernel, kernel(dir, isV1))
	p.peak.Looks++
}

// kernel is what the kernel holds for a pod, its highest where the kernel keeps that.
func kernel(dir string, isV1 bool) int64 {
	if isV1 {
		return number(filepath.Join(dir, "memory.kmem.max_usage_in_bytes"))
	}
	return statField(dir, "kernel ") + statField(dir, "sock ")
}

func (p *pod) save(path string) {
	data, err := json.Marshal(p.peak)
	if err != nil {
		return
	}
	// A look that could not be saved is made up for by the next one.
	if os.MkdirAll(filepath.Dir(path), 0o755) == nil && os.WriteFile(path+".new", data, 0o644) == nil {
		_ = os.Rename(path+".new", path)
	}
}

func sum(values map[string]int64) (total int64) {
	for _, value := range values {
		total += value
	}
	return total
}

// statusField is a field of /proc/PID/status, in bytes.
func statusField(pid, field string) int64 {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes * 1024
		}
	}
	return 0
}

// statField is a field of a control group's memory.stat.
func statField(dir, field string) int64 {
	stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
	for _, line := range strings.Split(string(stat), "\n") {
		if rest, ok := strings.CutPrefix(line, field); ok {
			value, _ := strconv.ParseInt(rest, 10, 64)
			return value
		}
	}
	return 0
}

func number(path string) int64 {
	data, _ := os.ReadFile(path)
	value, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return value
}
