package e2e

import (
	"context"
	"fmt"
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

	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "10s", InfluxURL: kit.SourceURL(), Database: p.database, Incremental: true, Extra: "  objectives: {rpo: 2m}\n"}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+schedule.Manifest()))
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.namespace, p.reader)+p.standingReplay()))

	p.must(kit.Await(p.ctx, "three replays", 3*time.Minute, func() (bool, string, error) {
		object, err := p.Standby.Get(p.ctx, p.namespace, "restoreschedule", "standby")
		ready := object.Condition("Ready")
		return object.Number("status", "replays") >= 3, ready.Reason + ": " + ready.Message, err
	}))
	for _, condition := range []string{"Ready", "RPOMet"} {
		_, err := p.Standby.AwaitCondition(p.ctx, p.namespace, "restoreschedule", "standby", condition, "True", time.Minute)
		p.must(err)
	}
	_, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "backupschedule", "telemetry", "RPOMet", "True", time.Minute)
	p.must(err)

	_, err = p.Standby.Run(p.ctx, "", "patch", "rsts", "standby", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"promoted":true}}`)
	p.must(err)
	promoted, err := p.Standby.AwaitCondition(p.ctx, p.namespace, "restoreschedule", "standby", "Promoted", "True", 2*time.Minute)
	p.must(err)
	must := ledger.AckedBefore(promoted.Time("status", "lastConsistencyTime"))
	if must < 20_000 {
		t.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
	}
	if _, err := ledger.Compare(p.ctx, p.Target, p.database, must); err != nil {
		t.Fatal(err)
	}

	// The fence: nothing may take promotion back, and nothing new is replayed.
	if _, err := p.Standby.Run(p.ctx, "", "patch", "rsts", "standby", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"promoted":false}}`); err == nil {
		t.Fatal("promotion was taken back")
	}
	replays := promoted.Number("status", "replays")
	p.must(p.awaitBackups(2))
	after, err := p.Standby.Get(p.ctx, p.namespace, "restoreschedule", "standby")
	p.must(err)
	if after.Number("status", "replays") != replays {
		t.Fatal("a backup was replayed after promotion")
	}
}

func (p *place) standingReplay() string {
	return fmt.Sprintf(`---
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: standby, namespace: %[1]s}
spec:
  mode: Continuous
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %[1]s, schedule: telemetry}
  objectives: {rpo: 2m, rto: 5m}
  template:
    spec:
      target: {influxdb: {url: %[2]q}}
      conflictPolicy: Overwrite
      confirm: %[2]q
      verify: Contains
`, p.namespace, kit.TargetURL())
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
