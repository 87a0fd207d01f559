package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// An import's process is killed half way. Without a further attempt the Restore says so; with one
// it ends with equal content, as the same rows are written over.
func TestKilledImport(t *testing.T) {
	needsBed(t, "kills a process of a pod")
	for _, test := range []struct {
		name    string
		retries int
	}{{"no attempt left", 0}, {"tried again", 1}} {
		t.Run(test.name, func(t *testing.T) {
			const rows = 600_000
			p := newPlace(t)
			ledger := p.ledger(rows)
			path := p.backup("good").Text("status", "manifest", "path")
			restore := strings.Replace(p.restoreManifest("killed", path, fmt.Sprintf(
				"  conflictPolicy: Overwrite\n  confirm: %s\n  verify: Contains\n", p.TargetURL)),
				"retry: {limit: 0}", fmt.Sprintf("retry: {limit: %d, minBackoff: 1s}", test.retries), 1)
			p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+"---\n"+restore))
			p.must(kit.Await(p.ctx, "rows in the target", time.Minute, func() (bool, string, error) {
				count := 0
				err := p.Target.Query(p.ctx, p.database, `SELECT count("seq") FROM "telemetry"`, func(series kit.Series) error {
					count, _ = strconv.Atoi(fmt.Sprint(series.Values[0][1]))
					return nil
				})
				return count > 0, fmt.Sprintf("%d rows", count), err
			}))
			p.killPod("killed")
			if test.retries == 0 {
				_, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restore", "killed", "Failed", "True", time.Minute)
				p.must(err)
				return
			}
			object, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restore", "killed", "Complete", "True", 2*time.Minute)
			p.must(err)
			if object.Number("status", "attempt") != 2 {
				t.Fatalf("it took %v attempts, not 2: was the process killed in time?", object.Path("status", "attempt"))
			}
			if _, err := ledger.Compare(p.ctx, p.Target, p.database, rows); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// killPod kills the process of a Restore's pod with SIGKILL, as the kernel does when memory is short.
func (p *place) killPod(restore string) {
	p.Helper()
	pods, err := p.Standby.List(p.ctx, p.standbyNamespace, "pods", "--selector", "lifeboat.dev/restore="+restore)
	p.must(err)
	if len(pods) != 1 {
		p.Fatalf("the Restore has %d pods, not 1", len(pods))
	}
	uid := pods[0].Text("metadata", "uid")
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	p.must(err)
	killed := 0
	for _, file := range groups {
		// A process may be gone by now.
		group, _ := os.ReadFile(file)
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if strings.Contains(string(group), uid) && strings.Contains(string(command), "lifeboat") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			p.must(err)
			p.must(syscall.Kill(pid, syscall.SIGKILL))
			killed++
		}
	}
	if killed == 0 {
		p.Fatal("the process of the pod was not found")
	}
}
