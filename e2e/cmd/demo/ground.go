package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat.dev/e2e/kit"
)

// ground is where the demo works: the test bed, which it brings up and takes down, or the current
// kubectl context, where it leaves all else alone.
type ground struct {
	onCurrent                          bool
	where, namespace, database, prefix string
}

func newGround() (ground, error) {
	onCurrent, err := kit.OnCurrent()
	if !onCurrent || err != nil {
		return ground{where: "both clusters", namespace: "iot", database: "telemetry", prefix: "demo"}, err
	}
	mark := time.Now().Unix()
	return ground{
		onCurrent: true, where: "the current context", namespace: fmt.Sprintf("lifeboat-demo-%d", mark),
		database: fmt.Sprintf("lifeboat_demo_%d", mark), prefix: fmt.Sprintf("lifeboat-demo-%d", mark),
	}, nil
}

func (d *demo) build(ctx context.Context) error {
	if d.onCurrent {
		return nil
	}
	d.say("build: the operator, the image, Kubernetes, InfluxDB, the object store (what is built is kept)")
	return d.command(ctx, "make", "image-binary", "bed-build")
}

func (d *demo) bringUp(ctx context.Context) error {
	if d.onCurrent {
		return nil
	}
	if err := d.command(ctx, "make", "cluster-up"); err != nil {
		return err
	}
	d.say("load the image into both clusters")
	return d.command(ctx, "make", "image-load")
}

// lose loses the primary. In a cluster that is not ours to kill, writing at the source ends.
func (d *demo) lose(ctx context.Context) error {
	if d.onCurrent {
		d.say("writing at the source ends, as if the primary were lost")
		return nil
	}
	d.say("stop the primary: its cluster and its database")
	return d.command(ctx, "make", "primary-stop")
}

func (d *demo) tearDown() error {
	// Not the run's context: that one is over when a person interrupts.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if !d.onCurrent {
		d.say("stop everything")
		return d.command(ctx, "make", "cluster-down")
	}
	if d.world == nil {
		return nil
	}
	d.say("remove everything but the backups below %s/ in the bucket", d.prefix)
	var all error
	for _, kubectl := range []kit.Kubectl{d.world.Primary, d.world.Standby} {
		_, err := kubectl.Run(ctx, "", "delete", "namespace", kubectl.Namespace(d.namespace), "--ignore-not-found")
		all = errors.Join(all, err)
	}
	for _, server := range []kit.Influx{d.world.Source, d.world.Target} {
		all = errors.Join(all, server.Execute(ctx, fmt.Sprintf("DROP DATABASE %q", d.database)))
	}
	return errors.Join(all, d.world.Close(ctx))
}
