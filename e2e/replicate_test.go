package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// Copies in a second location: a schedule of windows is copied as it goes, with fewer copies kept; the
// first location is lost with all its objects, and a restore from the copy has equal content.
func TestReplicate(t *testing.T) {
	needsBed(t, "deletes a bucket's files")
	p := newPlace(t)
	const rows = 5000
	ledger := p.ledger(rows)
	copies := p.Writer(p.bucket.Prefix + "-copies")
	second := strings.ReplaceAll(kit.BucketManifests(p.namespace, copies), "name: dr-bucket", "name: dr-copies")
	schedule := kit.Schedule{
		Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: p.SourceURL, Database: p.database, Incremental: true,
		Extra: "  replicateTo: [{name: dr-copies, retention: {keepLast: 3}}]\n",
	}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+second+"---\n"+schedule.Manifest()))
	_, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "bks", "telemetry", "Replicated", "True", 2*time.Minute)
	p.must(err)

	// No further Backup: what is complete is copied to the last.
	p.must(p.awaitBackups(1))
	_, err = p.Primary.Run(p.ctx, "", "patch", "bks", "telemetry", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"suspend":true}}`)
	p.must(err)
	p.must(kit.Await(p.ctx, "the copies are as new as the backups", 2*time.Minute, func() (bool, string, error) {
		object, err := p.Primary.Get(p.ctx, p.namespace, "bks", "telemetry")
		if err != nil {
			return false, "", err
		}
		newest := p.newestManifest(p.bucket.Prefix)
		copied := p.newestManifest(copies.Prefix)
		active, _ := object.Path("status", "active").([]any)
		return len(active) == 0 && newest != "" && newest == copied, fmt.Sprintf("%d active, %s, copied %s", len(active), newest, copied), nil
	}))
	key := p.newestManifest(copies.Prefix)

	// The first location is gone.
	_, err = p.Primary.Run(p.ctx, "", "delete", "bks,bk", "--all", "--namespace", p.namespace)
	p.must(err)
	p.must(os.RemoveAll(p.storedBelow(p.bucket.Prefix)))

	reader := p.Reader(copies.Prefix)
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, reader)+"---\n"+p.restoreManifest("back", key, "  verify: Contains\n")))
	_, err = p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restore", "back", "Complete", "True", 2*time.Minute)
	p.must(err)
	if _, err := ledger.Compare(p.ctx, p.Target, p.database, rows); err != nil {
		t.Fatal(err)
	}
}

// storedBelow is the directory behind a prefix of the bucket.
func (p *place) storedBelow(prefix string) string {
	return filepath.Join(filepath.Dir(p.stored("")), prefix)
}

// newestManifest is the key of the newest manifest below a prefix of the bucket, if there is one.
func (p *place) newestManifest(prefix string) string {
	root := p.storedBelow(prefix)
	found, err := filepath.Glob(filepath.Join(root, "lifeboat/v1/*/*/schedules/telemetry/manifests/*.json"))
	p.must(err)
	if len(found) == 0 {
		return ""
	}
	key, err := filepath.Rel(root, found[len(found)-1])
	p.must(err)
	return key
}
