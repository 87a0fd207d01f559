package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/kit"
)

// A Deployment goes to zero before the import and back after it, whether that ends well or not.
func TestQuiesce(t *testing.T) {
	p := newPlace(t)
	p.workload()
	p.ledger(2000)
	path := p.backup("good").Text("status", "manifest", "path")
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)))
	const quiesce = "  quiesce: {workloads: [{kind: Deployment, name: app}], timeout: 2m}\n"
	// The second one finds the rows of the first in its target.
	for count, end := range []string{"Complete", "Failed"} {
		name := strings.ToLower(end)
		p.must(p.Standby.Apply(p.ctx, p.restoreManifest(name, path, quiesce)))
		object, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restore", name, end, "True", 2*time.Minute)
		p.must(err)
		if reason := object.Condition("Quiesced").Reason; reason != "ScaledBack" {
			t.Errorf("%s: Quiesced has the reason %s", name, reason)
		}
		p.awaitPods(2)
		if downs := p.scaledToZero(); downs != count+1 {
			t.Errorf("%s: it was scaled to zero %d times", name, downs)
		}
		// By the word of Kubernetes: no pod of now is older than the quiet that the import began in.
		quiet := object.Time("status", "quiesce", "quietTime")
		if quiet.IsZero() {
			t.Fatalf("%s: status.quiesce has no quietTime: %v", name, object.Path("status", "quiesce"))
		}
		pods, err := p.Standby.List(p.ctx, p.standbyNamespace, "pods", "--selector", "app=app")
		p.must(err)
		jobs, err := p.Standby.List(p.ctx, p.standbyNamespace, "jobs", "--selector", "lifeboat.dev/restore="+name)
		p.must(err)
		for _, pod := range pods {
			for _, job := range jobs {
				started, ended := job.Time("metadata", "creationTimestamp"), pod.Time("metadata", "creationTimestamp")
				if ended.Before(started) || started.Before(quiet.Truncate(time.Second)) {
					t.Errorf("%s: quiet at %s, the import's Job is of %s, the pod of %s", name, quiet, started, ended)
				}
			}
		}
	}
}

// A standing replay does it for each backup.
func TestQuiescedStandby(t *testing.T) {
	p := newPlace(t)
	p.workload()
	p.ledger(2000)
	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "20s", InfluxURL: p.SourceURL, Database: p.database}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+schedule.Manifest()))
	replay := p.standingReplay() + "      quiesce: {workloads: [{kind: Deployment, name: app}]}\n"
	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+replay))
	p.awaitReplays(2)
	if downs := p.scaledToZero(); downs < 2 {
		t.Errorf("it was scaled to zero %d times", downs)
	}
	_, err := p.Standby.Run(p.ctx, "", "patch", "rsts", "standby", "--namespace", p.standbyNamespace, "--type", "merge", "--patch", `{"spec":{"suspend":true}}`)
	p.must(err)
	p.awaitPods(2)
}

// workload is a Deployment of two pods on the standby that do nothing.
func (p *place) workload() {
	p.Helper()
	needsBed(p.T, "runs an image that only the bed has")
	p.must(p.Standby.Apply(p.ctx, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: %s}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: %q
        imagePullPolicy: Never
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`, p.standbyNamespace, cluster.PauseImage)))
	p.awaitPods(2)
}

// awaitPods waits until the Deployment has so many pods that run.
func (p *place) awaitPods(wanted float64) {
	p.Helper()
	p.must(kit.Await(p.ctx, fmt.Sprintf("%v pods", wanted), time.Minute, func() (bool, string, error) {
		object, err := p.Standby.Get(p.ctx, p.standbyNamespace, "deployment", "app")
		ready := object.Number("status", "readyReplicas")
		return ready == wanted && object.Number("spec", "replicas") == wanted, fmt.Sprint(ready), err
	}))
}

// scaledToZero counts by the Deployment controller's own events.
func (p *place) scaledToZero() int {
	p.Helper()
	events, err := p.Standby.List(p.ctx, p.standbyNamespace, "events", "--field-selector", "reason=ScalingReplicaSet")
	p.must(err)
	times := 0
	for _, event := range events {
		message := event.Text("message")
		if strings.Contains(message, "Scaled down") && strings.Contains(message, " to 0") {
			times += max(1, int(event.Number("count")))
		}
	}
	return times
}
