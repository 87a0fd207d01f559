package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"lifeboat.dev/e2e/kit"
)

// The real kstatus library, as Flux and Helm 4 use it, reads every kind rightly.
func TestKstatus(t *testing.T) {
	p := newPlace(t)
	p.ledger(100)

	t.Run("in progress", func(t *testing.T) {
		// Its location is missing, so it waits.
		p.must(p.primary.Apply(p.ctx, p.backupManifest("waiting")))
		p.reads(t, p.primary, "backup", "waiting", status.InProgressStatus)
	})
	path := p.backup("done").Text("status", "manifest", "path")
	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: p.sourceURL(), Database: p.database}
	p.must(p.primary.Apply(p.ctx, schedule.Manifest()))
	p.must(p.standby.Apply(p.ctx, kit.BucketManifests(p.namespace, p.reader)+p.standingReplay()+"---\n"+p.restoreManifest("done", path, "  dryRun: true\n")))
	broken := kit.Schedule{Namespace: p.namespace, Name: "broken", Every: "10s", InfluxURL: p.sourceURL(), Database: "no_such_database"}
	p.must(p.primary.Apply(p.ctx, broken.Manifest()))
	p.must(p.primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: failed, namespace: %s}
spec:
  source: {influxdb: {url: %q, databases: [{name: no_such_database}]}}
  storage: {name: dr-bucket}
  retry: {limit: 0}
`, p.namespace, p.sourceURL())))
	p.must(p.standby.Apply(p.ctx, p.restoreManifest("failed", "lifeboat/v1/primary/nowhere/backups/none/manifests/20260101t000000z.json", "")))

	for _, row := range []struct {
		side       kit.Kubectl
		kind, name string
		want       status.Status
	}{
		{p.primary, "storagelocation", "dr-bucket", status.CurrentStatus},
		{p.primary, "backup", "done", status.CurrentStatus},
		{p.primary, "backup", "failed", status.FailedStatus},
		{p.primary, "backupschedule", "telemetry", status.CurrentStatus},
		{p.standby, "storagelocation", "dr-bucket", status.CurrentStatus},
		{p.standby, "restore", "done", status.CurrentStatus},
		{p.standby, "restore", "failed", status.FailedStatus},
		{p.standby, "restoreschedule", "standby", status.CurrentStatus},
	} {
		t.Run(row.kind+" "+row.name, func(t *testing.T) { p.reads(t, row.side, row.kind, row.name, row.want) })
	}
	// What people type says the same.
	_, err := p.primary.Run(p.ctx, "", "wait", "--for=condition=Complete", "backup/done", "--namespace", p.namespace, "--timeout=5s")
	p.must(err)
	if _, err := p.primary.Run(p.ctx, "", "wait", "--for=condition=Complete", "backup/failed", "--namespace", p.namespace, "--timeout=2s"); err == nil {
		t.Fatal("kubectl wait says that a failed Backup is complete")
	}
}

// reads waits until kstatus says what it should of an object.
func (p *place) reads(t *testing.T, side kit.Kubectl, kind, name string, want status.Status) {
	t.Helper()
	err := kit.Await(p.ctx, fmt.Sprintf("kstatus of %s %s is %s", kind, name, want), 90*time.Second, func() (bool, string, error) {
		object, err := side.Get(p.ctx, p.namespace, kind, name)
		if err != nil || object == nil {
			return false, "no such object", err
		}
		result, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			return false, "", err
		}
		return result.Status == want, fmt.Sprintf("%s: %s", result.Status, result.Message), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
