package bed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/mounts"
	"lifeboat.dev/e2e/bed/network"
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

// processes lists those that run a binary of the bed or were told a path of its
// state. It looks at all processes, to find what has escaped from the control groups.
func processes(dirs layout.Dirs) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() || pid == os.Getppid() {
			continue
		}
		cmdline, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		line := string(cmdline)
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		ours := strings.HasPrefix(exe, dirs.Bin("")+"/") && strings.TrimSuffix(filepath.Base(exe), " (deleted)") != "bed"
		shim := strings.Contains(line, "containerd") && strings.Contains(line, layout.RuntimeDir+"/")
		if ours || shim {
			found = append(found, pid)
		}
	}
	return found
}
