package bed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/mounts"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/service"
)

// Down removes all of the bed but what was built and the logs. It relies on
// nothing that a crash could have lost: it goes by what the kernel knows.
func Down(ctx context.Context, dirs layout.Dirs) error {
	say := progress()
	if err := cgroup.Kill(ctx, ""); err != nil {
		return err
	}
	say("processes: gone")
	for _, c := range layout.Clusters {
		if err := cluster.Clean(ctx, dirs, c); err != nil {
			return err
		}
	}
	for _, dir := range []string{dirs.Run(), layout.RuntimeDir} {
		if err := mounts.Detach(dir); err != nil {
			return err
		}
	}
	say("mounts: gone")
	if err := network.DeleteAll(ctx); err != nil {
		return err
	}
	say("network: gone")
	for _, dir := range []string{dirs.Run(), layout.RuntimeDir} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := removeDevicePlugins(); err != nil {
		return err
	}
	say("state: gone")
	if left := Left(ctx, dirs); len(left) > 0 {
		return fmt.Errorf("still there:\n  %s", strings.Join(left, "\n  "))
	}
	say("nothing is left")
	return nil
}

// Left lists everything of the bed that still exists on the machine.
func Left(ctx context.Context, dirs layout.Dirs) []string {
	var left []string
	for _, pid := range processes(dirs) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	for _, group := range cgroup.Left() {
		left = append(left, "control group "+group)
	}
	for _, dir := range []string{dirs.Run(), layout.RuntimeDir} {
		points, err := mounts.Below(dir)
		if err != nil {
			left = append(left, "unknown mounts: "+err.Error())
		}
		for _, point := range points {
			left = append(left, "mount "+point)
		}
		if _, err := os.Stat(dir); err == nil {
			left = append(left, "directory "+dir)
		}
	}
	for _, name := range network.Left(ctx) {
		left = append(left, "network "+name)
	}
	return left
}

// processes lists those that were started by the bed. It looks at all processes
// of the machine, to find what has escaped from the control groups.
func processes(dirs layout.Dirs) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		environment, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		if slices.Contains(strings.Split(string(environment), "\x00"), service.Mark+"="+dirs.Home) {
			found = append(found, pid)
		}
	}
	return found
}

// removeDevicePlugins removes the one socket that kubelet makes at a fixed place,
// unless another kubelet of the machine listens there.
func removeDevicePlugins() error {
	const socket = "/var/lib/kubelet/device-plugins/kubelet.sock"
	if connection, err := net.Dial("unix", socket); err == nil {
		return connection.Close()
	}
	if err := os.Remove(socket); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	// Only empty directories can be removed so, and those are nobody's.
	for dir := filepath.Dir(socket); dir != "/var/lib"; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
