package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// The controller is killed with SIGKILL 50 times over some 30 slots of `every: 5s`. Each slot has
// at most one Backup and one manifest, none due is missing, nothing stays running.
//
// It runs as a process of the test and not in its pod: the kubelet would make each restart wait
// longer than the last.
func TestOnceUnderKills(t *testing.T) {
	needsBed(t, "takes the controller's place on this machine, and counts files of the store")
	const kills, slots, every = 50, 30, 5 * time.Second
	p := newPlace(t)
	p.ledger(1000)
	p.scaleController(0)
	t.Cleanup(func() { p.scaleController(1) })

	controller := newVictim(p)
	controller.start()
	stopped := false
	defer func() {
		if !stopped {
			controller.kill()
		}
	}()

	// The controller is outside the clusters, so no name of theirs resolves: addresses instead.
	bucket := p.bucket
	bucket.Endpoint = p.S3
	schedule := kit.Schedule{
		Namespace: p.namespace, Name: "often", Every: "5s", InfluxURL: p.SourceURL, Database: p.database,
		Extra: "  startingDeadline: 4m\n",
	}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, bucket)+"---\n"+schedule.Manifest()))
	began := time.Now()
	pause := time.Duration(slots) * every / kills
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for range kills {
		<-tick.C
		controller.kill()
		controller.start()
	}
	last := time.Now()
	p.must(kit.Await(p.ctx, "the last slot's Backup", 2*time.Minute, func() (bool, string, error) {
		object, err := p.Primary.Get(p.ctx, p.namespace, "backupschedule", "often")
		at := object.Time("status", "lastSlotTime")
		return !at.Before(last.Truncate(every)), fmt.Sprintf("last slot %s", at), err
	}))
	_, err := p.Primary.Run(p.ctx, "", "patch", "bks", "often", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"suspend":true}}`)
	p.must(err)
	var backups []kit.Object
	p.must(kit.Await(p.ctx, "every Backup ended", 3*time.Minute, func() (bool, string, error) {
		var err error
		backups, err = p.Primary.List(p.ctx, p.namespace, "backups")
		running := 0
		for _, backup := range backups {
			if backup.Condition("Complete").Status != "True" && backup.Condition("Failed").Status != "True" {
				running++
			}
		}
		return err == nil && running == 0, fmt.Sprintf("%d run", running), err
	}))
	object, err := p.Primary.Get(p.ctx, p.namespace, "backupschedule", "often")
	p.must(err)
	controller.kill()
	stopped = true

	p.checkSlots(object, backups, began, every)
	t.Logf("%d kills, %d backups, %d missed slots", kills, len(backups), int(object.Number("status", "missedSlots")))
}

// checkSlots holds each slot to at most one Backup and one manifest, and to at least one or a
// count as missed.
func (p *place) checkSlots(schedule kit.Object, backups []kit.Object, began time.Time, every time.Duration) {
	p.Helper()
	slots := map[string]string{}
	for _, backup := range backups {
		slot := backup.Text("status", "slot")
		if other, there := slots[slot]; there {
			p.Errorf("the slot %s has two Backups: %s and %s", slot, other, backup.Name())
		}
		slots[slot] = backup.Name()
		if backup.Condition("Complete").Status != "True" {
			failed := backup.Condition("Failed")
			p.Errorf("%s is not complete: %s: %s", backup.Name(), failed.Reason, failed.Message)
		}
	}
	manifests := p.storedFiles("lifeboat/v1/primary/"+p.namespace, ".json")
	committed := 0
	for _, key := range manifests {
		if strings.Contains(key, "/manifests/") {
			committed++
			if _, there := slots[strings.TrimSuffix(filepath.Base(key), ".json")]; !there {
				p.Errorf("the manifest %s has no Backup", key)
			}
		}
	}
	if committed != len(backups) {
		p.Errorf("%d manifests for %d Backups", committed, len(backups))
	}
	missed := int(schedule.Number("status", "missedSlots"))
	due := 0
	for at := began.Truncate(every).Add(every); !at.After(schedule.Time("status", "lastSlotTime")); at = at.Add(every) {
		due++
	}
	if missed != 0 || len(backups) < due {
		p.Errorf("%d slots were due, %d have a Backup, %d were counted as missed", due, len(backups), missed)
	}
}

func (p *place) scaleController(replicas int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	_, err := p.Primary.Run(ctx, "", "scale", "deployment/lifeboat", "--namespace", kit.Namespace, fmt.Sprintf("--replicas=%d", replicas))
	p.must(err)
	if replicas == 0 {
		_, err = p.Primary.Run(ctx, "", "wait", "pods", "--namespace", kit.Namespace, "--selector", "app.kubernetes.io/component=controller", "--for=delete", "--timeout=60s")
	} else {
		_, err = p.Primary.Run(ctx, "", "rollout", "status", "deployment/lifeboat", "--namespace", kit.Namespace, "--timeout=60s")
	}
	p.must(err)
}

// victim is a controller process that is there to be killed.
type victim struct {
	place   *place
	log     *os.File
	mutex   sync.Mutex
	process *exec.Cmd
}

func newVictim(p *place) *victim {
	log, err := os.Create(filepath.Join(p.TempDir(), "controller.log"))
	p.must(err)
	return &victim{place: p, log: log}
}

func (v *victim) start() {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.process = exec.Command(kit.Binary(v.place.Root), "controller")
	v.process.Env = []string{
		"KUBECONFIG=" + v.place.Primary.Kubeconfig, "LIFEBOAT_CLUSTER_NAME=primary", "POD_NAMESPACE=" + kit.Namespace,
		"POD_NAME=victim", "LIFEBOAT_IMAGE=" + kit.Repository + ":" + kit.Tag, "LIFEBOAT_LOG=info",
	}
	v.process.Stdout, v.process.Stderr = v.log, v.log
	v.place.must(v.process.Start())
}

func (v *victim) kill() {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.place.must(v.process.Process.Kill())
	// The error of Wait says only that it was killed.
	_ = v.process.Wait()
}
