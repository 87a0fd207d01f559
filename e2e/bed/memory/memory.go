// Package memory remembers how much memory the pods have used at most, also of
// pods that have ended and whose control group is gone with its counters.
package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/service"
)

// interval is how often the pods are looked at.
const interval = 100 * time.Millisecond

// group and name are those of the watching service.
const (
	group = "tools"
	name  = "memory-watch"
)

// Peak is what was seen of one pod. All numbers are bytes.
type Peak struct {
	// Resident is the sum of the highest resident set of each process, as the
	// kernel recorded it (VmHWM). No peak between two looks is missed, except
	// what comes after the last one. It holds the pages of the program file that
	// were touched, but no other page cache. The sum of many processes' peaks
	// may be more than was ever used at once.
	Resident int64 `json:"resident"`
	// Kernel is the most that the kernel held for the pod: stacks, page tables, files that are
	// open. With cgroup v1 the kernel keeps this maximum too, but leaves out the buffers of sockets;
	// with v2 they are in it, and a peak between two looks is missed.
	Kernel int64 `json:"kernel"`
	// Anonymous is the highest sum of anonymous memory at any look, as the
	// control groups account it. A peak between two looks is missed.
	Anonymous int64 `json:"anonymous"`
	// WithCache is the kernel's own peak of the control groups, page cache included.
	WithCache int64 `json:"withCache"`
	// Looks is how often the pod was looked at.
	Looks int `json:"looks"`
}

// WithoutCache bounds the control group's peak without page cache from above: no kernel keeps that
// one. Two other peaks can't be less, and the smaller one is nearer: the peak with page cache, and
// both parts at their highest, as if at the same moment.
func (p Peak) WithoutCache() int64 { return min(p.WithCache, p.Resident+p.Kernel) }

// StartWatch starts the service that watches all pods.
func StartWatch(dirs layout.Dirs) error {
	return service.Start(dirs, service.Service{
		Group: group, Name: name, Dir: dirs.Home, Argv: []string{dirs.Bin("bed"), "memory-watch"},
	})
}

// Watch watches the pods of all clusters until the context ends.
func Watch(ctx context.Context, dirs layout.Dirs) error {
	memory, isV1, err := cgroup.Memory()
	if err != nil {
		return err
	}
	w := watcher{dirs: dirs, root: filepath.Join(memory, cgroup.Root), isV1: isV1, pods: map[string]*pod{}}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		for _, c := range layout.Clusters {
			w.look(c)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Of returns the peak of a pod. Of several pods that had the name one after the
// other, it is the latest.
func Of(dirs layout.Dirs, cluster, namespace, podName string) (Peak, error) {
	var peak Peak
	files, err := filepath.Glob(file(dirs, cluster, namespace+"_"+podName+"_*"))
	if err != nil {
		return peak, err
	}
	var newest string
	var newestTime time.Time
	for _, path := range files {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newestTime) {
			newest, newestTime = path, info.ModTime()
		}
	}
	if newest == "" {
		return peak, fmt.Errorf("no pod %s/%s was seen in cluster %s; is `bed status` showing %s/%s as running?",
			namespace, podName, cluster, group, name)
	}
	data, err := os.ReadFile(newest)
	if err != nil {
		return peak, err
	}
	return peak, json.Unmarshal(data, &peak)
}

func file(dirs layout.Dirs, cluster, pod string) string {
	return dirs.Run("memory", cluster, pod+".json")
}

// podNames maps the identifiers of a cluster's pods to NAMESPACE_POD_ID. Kubelet
// names the log directories so, and they are there before the first container runs.
func podNames(dirs layout.Dirs, cluster string) map[string]string {
	names := map[string]string{}
	entries, _ := os.ReadDir(dirs.Run(cluster, "pod-logs"))
	for _, entry := range entries {
		if parts := strings.Split(entry.Name(), "_"); len(parts) == 3 {
			names[parts[2]] = entry.Name()
		}
	}
	return names
}
