package e2e

import (
	"cmp"
	"fmt"
	"net"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// engine is one data system in both places, as its tests write it into the kinds.
type engine struct {
	// source and target are the blocks of the spec in YAML's flow form: `{rethinkdb: {…}}`.
	source, target string
	// targetURL is what `confirm` has to name.
	targetURL string
	// job is the block `job` of both specs, in the same form; empty: none.
	job string
	// secrets are manifests that both sides need, without a namespace: `kubectl apply` gets one.
	secrets string
	// verify is the strictest check that the engine can do on a running standby, and on a drill.
	verify, drillVerify string
	// deletions of the standing replay; empty: what is there stays.
	deletions string
}

// listen takes a port of this machine that pods reach, for a stand-in, until the test ends.
func (p *place) listen() net.Listener {
	p.Helper()
	needsBed(p.T, "starts a server of its own that pods reach")
	listener, err := net.Listen("tcp", net.JoinHostPort(layout.HostAddress, "0"))
	p.must(err)
	p.Cleanup(func() { _ = listener.Close() })
	return listener
}

// schedule backs the engine's source up every ten seconds.
func (p *place) schedule(e engine) {
	p.Helper()
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)))
	p.applySecrets(p.Primary, e)
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: BackupSchedule
metadata: {name: telemetry, namespace: %s}
spec:
  every: 10s
  template:
    spec:
      source: %s
      storage: {name: dr-bucket}
      retry: {limit: 1, minBackoff: 1s}
      job: %s
`, p.namespace, e.source, cmp.Or(e.job, "{}"))))
}

// standby replays each of the schedule's backups into the engine's target.
func (p *place) standby(e engine) {
	p.Helper()
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)))
	p.applySecrets(p.Standby, e)
	p.must(p.Standby.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: standby, namespace: %[1]s}
spec:
  mode: Continuous
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %[5]s, schedule: telemetry}
  template:
    spec:
      target: %[2]s
      conflictPolicy: Overwrite
      confirm: %[3]q
      verify: %[4]s
      deletions: %[6]s
      job: %[7]s
`, p.standbyNamespace, e.target, e.targetURL, e.verify, p.namespace, cmp.Or(e.deletions, "Keep"), cmp.Or(e.job, "{}"))))
}

// awaitReplays waits until the standby has replayed so many backups in all.
func (p *place) awaitReplays(replays int) {
	p.Helper()
	p.must(kit.Await(p.ctx, fmt.Sprintf("%d replays", replays), 3*time.Minute, func() (bool, string, error) {
		object, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
		ready := object.Condition("Ready")
		return object.Number("status", "replays") >= float64(replays), ready.Reason + ": " + ready.Message, err
	}))
}

// drill restores the newest backup into names of the drill's own, and waits until it was proven.
func (p *place) drill(e engine) {
	p.Helper()
	p.must(p.Standby.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: drill, namespace: %[1]s}
spec:
  mode: Drill
  every: 10s
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %[4]s, schedule: telemetry}
  objectives: {rto: 5m}
  template:
    spec:
      target: %[2]s
      verify: %[3]s
`, p.standbyNamespace, e.target, e.drillVerify, p.namespace)))
	_, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restoreschedule", "drill", "RTOMet", "True", 2*time.Minute)
	p.must(err)
	_, err = p.Standby.Run(p.ctx, "", "patch", "rsts", "drill", "--namespace", p.standbyNamespace, "--type", "merge", "--patch", `{"spec":{"suspend":true}}`)
	p.must(err)
}

func (p *place) applySecrets(cluster kit.Kubectl, e engine) {
	p.Helper()
	if e.secrets == "" {
		return
	}
	_, err := cluster.Run(p.ctx, e.secrets, "apply", "--namespace", cluster.Namespace(p.namespace), "--filename", "-")
	p.must(err)
}
