package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// The loop in small: a schedule, a standing replay, promotion, and the proof by queries.
func TestInfluxdbLoop(t *testing.T) {
	p := newPlace(t)
	ledger := p.ledger(20_000)
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	go ledger.Follow(writing, 20_000, 200*time.Millisecond, 100)

	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: p.SourceURL, Database: p.database, Incremental: true, Extra: "  objectives: {rpo: 2m}\n"}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+schedule.Manifest()))
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+p.standingReplay()))

	p.must(kit.Await(p.ctx, "three replays", 3*time.Minute, func() (bool, string, error) {
		object, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
		ready := object.Condition("Ready")
		return object.Number("status", "replays") >= 3, ready.Reason + ": " + ready.Message, err
	}))
	for _, condition := range []string{"Ready", "RPOMet"} {
		_, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restoreschedule", "standby", condition, "True", time.Minute)
		p.must(err)
	}
	_, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "backupschedule", "telemetry", "RPOMet", "True", time.Minute)
	p.must(err)

	p.prepareOnwards()
	_, err = p.Standby.Run(p.ctx, "", "patch", "rsts", "standby", "--namespace", p.standbyNamespace, "--type", "merge", "--patch", `{"spec":{"promoted":true}}`)
	p.must(err)
	promoted, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restoreschedule", "standby", "Promoted", "True", 2*time.Minute)
	p.must(err)
	must := ledger.AckedBefore(promoted.Time("status", "lastConsistencyTime"))
	if must < 20_000 {
		t.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
	}
	if _, err := ledger.Compare(p.ctx, p.Target, p.database, must); err != nil {
		t.Fatal(err)
	}

	p.awaitOnwards(promoted)

	// The fence: nothing may take promotion back, and nothing new is replayed.
	if _, err := p.Standby.Run(p.ctx, "", "patch", "rsts", "standby", "--namespace", p.standbyNamespace, "--type", "merge", "--patch", `{"spec":{"promoted":false}}`); err == nil {
		t.Fatal("promotion was taken back")
	}
	replays := promoted.Number("status", "replays")
	p.must(p.awaitBackups(2))
	after, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
	p.must(err)
	if after.Number("status", "replays") != replays {
		t.Fatal("a backup was replayed after promotion")
	}
}

// prepareOnwards gives the standby a schedule of its own, which waits for the promotion.
func (p *place) prepareOnwards() {
	p.Helper()
	bucket := p.Writer(p.bucket.Prefix + "-onwards")
	location := strings.ReplaceAll(kit.BucketManifests(p.standbyNamespace, bucket), "name: dr-bucket", "name: onwards")
	schedule := kit.Schedule{
		Namespace: p.standbyNamespace, Name: "onwards", Every: "10s", InfluxURL: p.TargetURL, Database: p.database,
		Extra: "  activeWhenPromoted: {name: standby}\n",
	}
	p.must(p.Standby.Apply(p.ctx, location+"---\n"+strings.ReplaceAll(schedule.Manifest(), "name: dr-bucket", "name: onwards")))
	p.must(kit.Await(p.ctx, "the schedule waits for promotion", time.Minute, func() (bool, string, error) {
		object, err := p.Standby.Get(p.ctx, p.standbyNamespace, "backupschedule", "onwards")
		ready := object.Condition("Ready")
		return ready.Reason == "WaitingForPromotion", ready.Reason + ": " + ready.Message, err
	}))
}

// awaitOnwards waits for the new primary's first backup, which must be younger than the promotion.
func (p *place) awaitOnwards(promoted kit.Object) {
	p.Helper()
	p.must(kit.Await(p.ctx, "the new primary's first backup", 2*time.Minute, func() (bool, string, error) {
		backups, err := p.Standby.List(p.ctx, p.standbyNamespace, "backups", "--selector", "lifeboat.dev/backup-schedule=onwards")
		for _, backup := range backups {
			if backup.Time("metadata", "creationTimestamp").Before(promoted.Condition("Promoted").Since.Truncate(time.Second)) {
				return false, "", fmt.Errorf("%s was made before the promotion", backup.Name())
			}
			if backup.Condition("Complete").Status == "True" {
				return true, "", nil
			}
		}
		return false, fmt.Sprintf("%d backups", len(backups)), err
	}))
}

func (p *place) standingReplay() string {
	return fmt.Sprintf(`---
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: standby, namespace: %[1]s}
spec:
  mode: Continuous
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %[3]s, schedule: telemetry}
  objectives: {rpo: 2m, rto: 5m}
  template:
    spec:
      target: {influxdb: {url: %[2]q}}
      conflictPolicy: Overwrite
      confirm: %[2]q
      verify: Contains
`, p.standbyNamespace, p.TargetURL, p.namespace)
}

// awaitBackups waits until so many further Backups are complete.
func (p *place) awaitBackups(further int) error {
	count := func() (int, error) {
		backups, err := p.Primary.List(p.ctx, p.namespace, "backups")
		complete := 0
		for _, backup := range backups {
			if backup.Condition("Complete").Status == "True" {
				complete++
			}
		}
		return complete, err
	}
	before, err := count()
	if err != nil {
		return err
	}
	return kit.Await(p.ctx, fmt.Sprintf("%d further backups", further), 2*time.Minute, func() (bool, string, error) {
		now, err := count()
		return now >= before+further, fmt.Sprintf("%d of %d", now-before, further), err
	})
}
