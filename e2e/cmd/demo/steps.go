package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"time"

	"lifeboat.dev/e2e/kit"
)

type demo struct {
	history, replays int
	keep             bool
	began            time.Time

	ground
	root   string
	world  *kit.World
	ledger *kit.Ledger
}

func (d *demo) say(format string, values ...any) {
	fmt.Printf("[%4.0fs] %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, values...))
}

// run does it all; what it started is stopped again whatever happens.
func (d *demo) run(ctx context.Context) (summary string, err error) {
	if d.root, err = kit.RepositoryRoot(); err != nil {
		return "", err
	}
	if d.ground, err = newGround(); err != nil {
		return "", err
	}
	if err := d.build(ctx); err != nil {
		return "", err
	}
	if !d.keep {
		defer func() { err = errors.Join(err, d.tearDown()) }()
	}
	for _, step := range []func(context.Context) error{d.bringUp, d.install, d.load, d.schedule} {
		if err := step(ctx); err != nil {
			return "", err
		}
	}
	return d.disaster(ctx)
}

// command runs a make target in the project's root and lets it print.
func (d *demo) command(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = d.root
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, args, err)
	}
	return nil
}

func (d *demo) install(ctx context.Context) error {
	d.say("helm install lifeboat into %s", d.where)
	var err error
	d.world, err = kit.Open(ctx)
	return err
}

func (d *demo) load(ctx context.Context) error {
	if err := d.world.Source.Execute(ctx, fmt.Sprintf("CREATE DATABASE %q", d.database)); err != nil {
		return err
	}
	const step = 2 * time.Millisecond
	d.ledger = &kit.Ledger{
		Influx: d.world.Source, Database: d.database, Step: step,
		Start: time.Now().Add(-time.Duration(d.history) * step).Truncate(time.Second),
	}
	d.say("load %d points of history into the primary", d.history)
	said := time.Now()
	return d.ledger.Load(ctx, d.history, func(done int) {
		if time.Since(said) > 5*time.Second || done == d.history {
			said = time.Now()
			d.say("  %d points", done)
		}
	})
}

func (d *demo) schedule(ctx context.Context) error {
	d.say("schedule an export every minute, with continuous replay into the standby (whose keys can't write the bucket)")
	schedule := kit.Schedule{
		Namespace: d.namespace, Name: "telemetry", Every: "1m", Database: d.database, Incremental: true,
		InfluxURL: d.world.SourceURL,
		Extra:     "  objectives: {rpo: 3m}\n  retention: {keepLast: 60}\n",
	}
	if err := d.world.Primary.Apply(ctx, kit.NamespaceManifest(d.namespace)+kit.BucketManifests(d.namespace, d.world.Writer(d.prefix))+"---\n"+schedule.Manifest()); err != nil {
		return err
	}
	standby := d.world.Standby.Namespace(d.namespace)
	return d.world.Standby.Apply(ctx, kit.NamespaceManifest(standby)+kit.BucketManifests(standby, d.world.Reader(d.prefix))+d.standby(standby))
}

// standby is the standing replay, with the database under its own name.
func (d *demo) standby(namespace string) string {
	return fmt.Sprintf(`---
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: telemetry-standby, namespace: %s}
spec:
  mode: Continuous
  source: {storage: {name: dr-bucket}, cluster: %s, namespace: %s, schedule: telemetry}
  objectives: {rpo: 3m, rto: 5m}
  template:
    spec:
      target: {influxdb: {url: %[4]q}}
      conflictPolicy: Overwrite
      confirm: %[4]q
      verify: Contains
`, namespace, kit.ClusterName, d.namespace, d.world.TargetURL)
}

func (d *demo) disaster(ctx context.Context) (string, error) {
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	d.say("keep writing 500 rows a second while it runs")
	go d.ledger.Follow(writing, d.history, 200*time.Millisecond, 100)

	if err := d.awaitReplays(ctx); err != nil {
		return "", errors.Join(err, d.show(ctx))
	}
	if err := d.show(ctx); err != nil {
		return "", err
	}
	if err := d.lose(ctx); err != nil {
		return "", err
	}
	lost := time.Now()
	stopWriting()

	d.say("promote the standby")
	standby := d.world.Standby.Namespace(d.namespace)
	if _, err := d.world.Standby.Run(ctx, "", "patch", "restoreschedule", "telemetry-standby", "--namespace", standby,
		"--type", "merge", "--patch", `{"spec":{"promoted":true}}`); err != nil {
		return "", err
	}
	promoted, err := d.world.Standby.AwaitCondition(ctx, standby, "restoreschedule", "telemetry-standby", "Promoted", "True", 5*time.Minute)
	if err != nil {
		return "", err
	}
	consistency := promoted.Time("status", "lastConsistencyTime")
	must := d.ledger.AckedBefore(consistency)
	d.say("compare: %d rows were acknowledged before the claimed consistencyTime %s", must, consistency.UTC().Format(time.RFC3339Nano))
	points, err := d.ledger.Compare(ctx, d.world.Target, d.database, must)
	if err != nil {
		return "", err
	}
	rto, rpo := time.Since(lost), max(0, lost.Sub(consistency))
	return fmt.Sprintf("demo: ok rpo_seconds=%.0f rto_seconds=%.0f points=%d content=equal", math.Ceil(rpo.Seconds()), math.Ceil(rto.Seconds()), points), nil
}

func (d *demo) awaitReplays(ctx context.Context) error {
	told := -1
	return kit.Await(ctx, fmt.Sprintf("%d replays", d.replays), 10*time.Minute, func() (bool, string, error) {
		object, err := d.world.Standby.Get(ctx, d.world.Standby.Namespace(d.namespace), "restoreschedule", "telemetry-standby")
		if err != nil || object == nil {
			return false, "no RestoreSchedule", err
		}
		done := int(object.Number("status", "replays"))
		if done != told {
			told = done
			d.say("  %d of %d replays", done, d.replays)
		}
		ready := object.Condition("Ready")
		return done >= d.replays, fmt.Sprintf("%d replays; %s: %s", done, ready.Reason, ready.Message), nil
	})
}

// show prints all kinds of both sides, as a person would look at them.
func (d *demo) show(ctx context.Context) error {
	for _, side := range []struct {
		name    string
		kubectl kit.Kubectl
	}{{"primary", d.world.Primary}, {"standby", d.world.Standby}} {
		namespace := side.kubectl.Namespace(d.namespace)
		out, err := side.kubectl.Run(ctx, "", "get", "storagelocations,backupschedules,backups,restoreschedules,restores", "--namespace", namespace)
		if err != nil {
			return err
		}
		fmt.Printf("\n--- %s: kubectl get sloc,bks,bk,rsts,rst -n %s\n%s\n", side.name, namespace, out)
	}
	return nil
}
