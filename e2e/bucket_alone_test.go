package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// With every object of both clusters lost, the bucket alone is enough: list and verify with no
// cluster at all, and a Restore by manifest path where nothing was ever heard of the backup.
func TestBucketAlone(t *testing.T) {
	const rows = 5000
	p := newPlace(t)
	ledger := p.ledger(rows)
	path := p.backup("only").Text("status", "manifest", "path")
	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: p.SourceURL, Database: p.database}
	p.must(p.Primary.Apply(p.ctx, schedule.Manifest()))
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+p.standingReplay()))
	p.awaitReplays(1)
	p.loseEverything()

	if out := p.lifeboat("list"); !strings.Contains(out, path) || !strings.Contains(out, "/schedules/telemetry/") {
		t.Fatalf("list does not show %s and the schedule's backups:\n%s", path, out)
	}
	p.lifeboat("verify", "--all")

	anew := newPlace(t)
	anew.reader = p.reader
	anew.must(anew.Standby.Apply(p.ctx, kit.BucketManifests(anew.standbyNamespace, anew.reader)+"---\n"+anew.restoreManifest("anew", path, "  verify: Equal\n")))
	_, err := anew.Standby.AwaitCondition(p.ctx, anew.standbyNamespace, "restore", "anew", "Complete", "True", 2*time.Minute)
	p.must(err)
	points, err := ledger.Compare(p.ctx, p.Target, p.database, rows)
	p.must(err)
	if points != rows {
		t.Fatalf("%d points and not %d", points, rows)
	}

	t.Run("a spoiled file is named", func(t *testing.T) {
		needsBed(t, "cuts a file of the store")
		files := p.storedFiles("lifeboat/v1/primary/"+p.namespace+"/backups", ".lp.zst")
		p.must(os.Truncate(p.stored(files[0]), 10))
		out, err := p.run("verify", path)
		if err == nil || !strings.Contains(out, filepath.Base(files[0])) {
			t.Fatalf("a truncated file was not named: %v\n%s", err, out)
		}
	})
}

// loseEverything deletes what the test has in both clusters, in which all kinds must be, and its
// database at the target.
func (p *place) loseEverything() {
	p.Helper()
	kinds := []string{"storagelocations", "backups", "backupschedules", "restores", "restoreschedules"}
	count := func(kind string) (all int) {
		for _, side := range []kit.Kubectl{p.Primary, p.Standby} {
			objects, err := side.List(p.ctx, side.Namespace(p.namespace), kind)
			p.must(err)
			all += len(objects)
		}
		return all
	}
	for _, kind := range kinds {
		if count(kind) == 0 {
			p.Fatalf("there are no %s to lose", kind)
		}
	}
	for _, side := range []kit.Kubectl{p.Primary, p.Standby} {
		_, err := side.Run(p.ctx, "", "delete", "namespace", side.Namespace(p.namespace), "--wait=true", "--timeout=2m")
		p.must(err)
	}
	for _, kind := range kinds {
		if left := count(kind); left != 0 {
			p.Fatalf("%d %s are left", left, kind)
		}
	}
	p.must(p.Target.Execute(p.ctx, fmt.Sprintf("DROP DATABASE %q", p.database)))
}

// lifeboat runs the binary against the test's own part of the bucket, with no cluster.
func (p *place) lifeboat(args ...string) string {
	p.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.Fatalf("lifeboat %v: %v\n%s", args, err, out)
	}
	return out
}

func (p *place) run(args ...string) (string, error) {
	args = append(args, "--bucket", p.reader.Name, "--prefix", p.reader.Prefix, "--endpoint", p.S3, "--region", p.reader.Region, "--path-style")
	command := exec.CommandContext(p.ctx, kit.Binary(p.Root), args...)
	command.Env = []string{"AWS_ACCESS_KEY_ID=" + p.reader.AccessKey, "AWS_SECRET_ACCESS_KEY=" + p.reader.SecretKey}
	out, err := command.CombinedOutput()
	return string(out), err
}
