package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
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
		// Their location is missing, so they wait.
		const missing = "lifeboat/v1/primary/nowhere/backups/none/manifests/20260101t000000z.json"
		p.must(p.Primary.Apply(p.ctx, p.backupManifest("waiting")))
		p.must(p.Standby.Apply(p.ctx, p.restoreManifest("waiting", missing, "")))
		p.reads(t, p.Primary, "backup", "waiting", status.InProgressStatus)
		p.reads(t, p.Standby, "restore", "waiting", status.InProgressStatus)
	})
	t.Run("a location that gets no answer", func(t *testing.T) {
		bucket := p.bucket
		bucket.Endpoint = p.silence()
		p.must(p.Primary.Apply(p.ctx, strings.ReplaceAll(kit.BucketManifests(p.namespace, bucket), "name: dr-bucket", "name: silent")))
		// Long before the check gives up.
		p.readsWithin(t, 10*time.Second, p.Primary, "storagelocation", "silent", status.InProgressStatus)
	})
	path := p.backup("done").Text("status", "manifest", "path")
	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: p.SourceURL, Database: p.database}
	p.must(p.Primary.Apply(p.ctx, schedule.Manifest()))
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+p.standingReplay()+"---\n"+p.restoreManifest("done", path, "  dryRun: true\n")))
	broken := kit.Schedule{Namespace: p.namespace, Name: "broken", Every: "10s", InfluxURL: p.SourceURL, Database: "no_such_database"}
	p.must(p.Primary.Apply(p.ctx, broken.Manifest()))
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: failed, namespace: %s}
spec:
  source: {influxdb: {url: %q, databases: [{name: no_such_database}]}}
  storage: {name: dr-bucket}
  retry: {limit: 0}
`, p.namespace, p.SourceURL)))
	// In progress and failed, for the kinds that go on for ever.
	lost := strings.ReplaceAll(kit.BucketManifests(p.namespace, p.bucket), "name: dr-bucket", "name: lost")
	p.must(p.Primary.Apply(p.ctx, strings.Replace(lost, "secretRef: {name: lost}", "secretRef: {name: nowhere}", 1)))
	unreadable := strings.Replace(broken.Manifest(), "name: broken", "name: unreadable", 1)
	p.must(p.Primary.Apply(p.ctx, strings.Replace(unreadable, "every: 10s", `cron: "61 * * * *"`, 1)))
	p.must(p.Standby.Apply(p.ctx, p.unreadableDrill()))
	early := strings.Replace(strings.Replace(p.standingReplay(), "name: standby,", "name: early,", 1), "schedule: telemetry}", "schedule: not-yet}", 1)
	p.must(p.Standby.Apply(p.ctx, early))
	p.must(p.Standby.Apply(p.ctx, p.restoreManifest("failed", "lifeboat/v1/primary/nowhere/backups/none/manifests/20260101t000000z.json", "")))

	for _, row := range []struct {
		side       kit.Kubectl
		kind, name string
		want       status.Status
	}{
		{p.Primary, "storagelocation", "dr-bucket", status.CurrentStatus},
		{p.Primary, "backup", "done", status.CurrentStatus},
		{p.Primary, "backup", "failed", status.FailedStatus},
		{p.Primary, "storagelocation", "lost", status.FailedStatus},
		{p.Primary, "backupschedule", "telemetry", status.CurrentStatus},
		{p.Primary, "backupschedule", "broken", status.InProgressStatus},
		{p.Primary, "backupschedule", "unreadable", status.FailedStatus},
		{p.Standby, "restoreschedule", "early", status.InProgressStatus},
		{p.Standby, "storagelocation", "dr-bucket", status.CurrentStatus},
		{p.Standby, "restore", "done", status.CurrentStatus},
		{p.Standby, "restore", "failed", status.FailedStatus},
		{p.Standby, "restoreschedule", "standby", status.CurrentStatus},
		{p.Standby, "restoreschedule", "unreadable", status.FailedStatus},
	} {
		t.Run(row.kind+" "+row.name, func(t *testing.T) { p.reads(t, row.side, row.kind, row.name, row.want) })
	}
	// What people type says the same.
	_, err := p.Primary.Run(p.ctx, "", "wait", "--for=condition=Complete", "backup/done", "--namespace", p.namespace, "--timeout=5s")
	p.must(err)
	if _, err := p.Primary.Run(p.ctx, "", "wait", "--for=condition=Complete", "backup/failed", "--namespace", p.namespace, "--timeout=2s"); err == nil {
		t.Fatal("kubectl wait says that a failed Backup is complete")
	}
}

// silence is an endpoint that gives no answer. On the test bed it takes connections at least.
func (p *place) silence() string {
	p.Helper()
	if !p.HasBed() {
		return "http://" + nowhere + ":7070"
	}
	return "http://" + p.listen().Addr().String()
}

func (p *place) unreadableDrill() string {
	return fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: unreadable, namespace: %s}
spec:
  mode: Drill
  cron: "61 * * * *"
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %s, schedule: telemetry}
  template:
    spec:
      target: {influxdb: {url: %q}}
`, p.standbyNamespace, p.namespace, p.TargetURL)
}

// reads waits until kstatus says what it should of an object.
func (p *place) reads(t *testing.T, side kit.Kubectl, kind, name string, want status.Status) {
	t.Helper()
	p.readsWithin(t, 90*time.Second, side, kind, name, want)
}

func (p *place) readsWithin(t *testing.T, limit time.Duration, side kit.Kubectl, kind, name string, want status.Status) {
	t.Helper()
	err := kit.Await(p.ctx, fmt.Sprintf("kstatus of %s %s is %s", kind, name, want), limit, func() (bool, string, error) {
		object, err := side.Get(p.ctx, side.Namespace(p.namespace), kind, name)
		if err != nil || object == nil {
			return false, "no such object", err
		}
		// Through JSON again, for the number types that the library wants.
		text, err := json.Marshal(object)
		if err != nil {
			return false, "", err
		}
		var typed unstructured.Unstructured
		if err := typed.UnmarshalJSON(text); err != nil {
			return false, "", err
		}
		result, err := status.Compute(&typed)
		if err != nil {
			return false, "", err
		}
		return result.Status == want, fmt.Sprintf("%s: %s", result.Status, result.Message), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
