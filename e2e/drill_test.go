package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// A drill restores the newest backup into databases that exist only for it, proves them equal,
// measures the RTO, and leaves the standby as it was.
func TestInfluxdbDrill(t *testing.T) {
	p := newPlace(t)
	p.ledger(5000)
	schedule := kit.Schedule{Namespace: p.namespace, Name: "telemetry", Every: "1h", InfluxURL: p.SourceURL, Database: p.database, Extra: "  trigger: first\n"}
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+schedule.Manifest()))
	p.must(p.awaitBackups(1))

	p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+fmt.Sprintf(`---
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: drill, namespace: %[1]s}
spec:
  mode: Drill
  every: 10s
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %[3]s, schedule: telemetry}
  objectives: {rto: 5m}
  template:
    spec:
      target: {influxdb: {url: %[2]q}}
      verify: Equal
`, p.standbyNamespace, p.TargetURL, p.namespace)))
	_, err := p.Standby.AwaitCondition(p.ctx, p.standbyNamespace, "restoreschedule", "drill", "RTOMet", "True", 2*time.Minute)
	p.must(err)
	_, err = p.Standby.Run(p.ctx, "", "patch", "rsts", "drill", "--namespace", p.standbyNamespace, "--type", "merge", "--patch", `{"spec":{"suspend":true}}`)
	p.must(err)
	p.must(kit.Await(p.ctx, "the drill's databases are gone", time.Minute, func() (bool, string, error) {
		left := ""
		err := p.Target.Query(p.ctx, "", "SHOW DATABASES", func(series kit.Series) error {
			for _, row := range series.Values {
				if name := fmt.Sprint(row[0]); strings.Contains(name, p.database) {
					left = name
				}
			}
			return nil
		})
		return err == nil && left == "", left, err
	}))
	restores, err := p.Standby.List(p.ctx, p.standbyNamespace, "restores")
	p.must(err)
	for _, restore := range restores {
		if failed := restore.Condition("Failed"); failed.Status == "True" {
			t.Errorf("%s failed: %s: %s", restore.Name(), failed.Reason, failed.Message)
		}
	}
}
