package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// With every Kubernetes object lost, the bucket alone is enough: list and verify with no cluster
// at all, and a Restore by manifest path on a cluster that never saw the backup.
func TestBucketAlone(t *testing.T) {
	p := newPlace(t)
	ledger := p.ledger(5000)
	path := p.backup("only").Text("status", "manifest", "path")
	_, err := p.Primary.Run(p.ctx, "", "delete", "namespace", p.namespace, "--wait=true")
	p.must(err)

	if out := p.lifeboat("list"); !strings.Contains(out, path) {
		t.Fatalf("list does not show %s:\n%s", path, out)
	}
	p.lifeboat("verify", path)

	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.namespace, p.reader)+"---\n"+p.restoreManifest("anew", path, "  verify: Equal\n")))
	_, err = p.Standby.AwaitCondition(p.ctx, p.namespace, "restore", "anew", "Complete", "True", 2*time.Minute)
	p.must(err)
	if _, err := ledger.Compare(p.ctx, p.Target, p.database, 5000); err != nil {
		t.Fatal(err)
	}

	// A spoiled file is named, and the exit status says so.
	files := p.storedFiles("lifeboat/v1/primary/"+p.namespace, ".lp.zst")
	p.must(os.Truncate(p.stored(files[0]), 10))
	out, err := p.run("verify", path)
	if err == nil || !strings.Contains(out, filepath.Base(files[0])) {
		t.Fatalf("a truncated file was not named: %v\n%s", err, out)
	}
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
	binary := filepath.Join(p.Root, "target", "x86_64-unknown-linux-gnu", "release", "lifeboat")
	args = append(args, "--bucket", layout.StoreBucket, "--prefix", p.bucket.Prefix, "--endpoint", layout.StoreHTTP, "--path-style")
	command := exec.CommandContext(p.ctx, binary, args...)
	command.Env = []string{
		"AWS_ACCESS_KEY_ID=" + layout.StoreReader.AccessKey, "AWS_SECRET_ACCESS_KEY=" + layout.StoreReader.SecretKey,
	}
	out, err := command.CombinedOutput()
	return string(out), err
}
