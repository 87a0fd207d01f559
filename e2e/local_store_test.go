package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// Backups in a volume: job pods mount a claim of their namespace, the controller the same directory
// by the chart's `localStores`. One is made, restored and found equal; another one is pruned with
// its files; a claim that nobody listed says what to do; and no link in the volume is followed.
func TestLocalStore(t *testing.T) {
	needsBed(t, "mounts a directory of the node")
	p := newPlace(t)
	p.useLocalStore()
	p.must(p.Primary.Apply(p.ctx, localManifests("backups", kit.LocalClaim)+"---\n"+localManifests("unlisted", "unlisted")))
	_, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "sloc", "backups", "Ready", "True", time.Minute)
	p.must(err)
	unlisted, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "sloc", "unlisted", "Stalled", "True", time.Minute)
	p.must(err)
	if ready := unlisted.Condition("Ready"); ready.Reason != "VolumeNotMounted" || !strings.Contains(ready.Message, "localStores") {
		t.Errorf("a claim that nobody listed: %+v", ready)
	}

	ledger := p.ledger(5000)
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: BackupSchedule
metadata: {name: telemetry, namespace: %s}
spec:
  every: 1h
  trigger: first
  template:
    spec:
      source: {influxdb: {url: %q, databases: [{name: %q}]}}
      storage: {name: backups}
      retry: {limit: 0}
`, p.namespace, p.SourceURL, p.database)))
	p.must(p.awaitBackups(1))
	first := p.localManifestFiles()
	_, err = p.Primary.Run(p.ctx, "", "patch", "bks", "telemetry", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"trigger":"second"}}`)
	p.must(err)
	p.must(p.awaitBackups(1))
	// A pruning follows at once on the first rules, and later ones not before a quarter of an hour.
	_, err = p.Primary.Run(p.ctx, "", "patch", "bks", "telemetry", "--namespace", p.namespace, "--type", "merge", "--patch", `{"spec":{"retention":{"keepLast":1}}}`)
	p.must(err)
	p.must(kit.Await(p.ctx, "the first backup is pruned with its files", 3*time.Minute, func() (bool, string, error) {
		now := p.localManifestFiles()
		files := p.localFiles("data")
		done := len(now) == 1 && len(first) == 1 && now[0] != first[0] && runsOf(files) == 1
		return done, fmt.Sprintf("%v, %d data files", now, len(files)), nil
	}))

	kept := p.localManifestFiles()[0]
	key, err := filepath.Rel(filepath.Join(p.localStore(), "prod"), kept)
	p.must(err)
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Restore
metadata: {name: back, namespace: %s}
spec:
  source: {manifest: {storage: {name: backups}, path: %q}}
  target: {influxdb: {url: %q}}
  verify: Equal
  retry: {limit: 0}
`, p.namespace, key, p.TargetURL)))
	_, err = p.Primary.AwaitCondition(p.ctx, p.namespace, "restore", "back", "Complete", "True", 2*time.Minute)
	p.must(err)
	if _, err := ledger.Compare(p.ctx, p.Target, p.database, 5000); err != nil {
		t.Fatal(err)
	}
	p.linkedManifestIsNotRead(key)
}

// linkedManifestIsNotRead restores from a manifest that leads elsewhere.
func (p *place) linkedManifestIsNotRead(key string) {
	p.Helper()
	link := filepath.Join(p.localStore(), "prod", filepath.Dir(key), "20200101t000000z.json")
	p.must(os.Symlink("/etc/hostname", link))
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Restore
metadata: {name: linked, namespace: %s}
spec:
  source: {manifest: {storage: {name: backups}, path: %q}}
  target: {influxdb: {url: %q}}
  retry: {limit: 0}
`, p.namespace, filepath.Join(filepath.Dir(key), "20200101t000000z.json"), p.TargetURL)))
	restore, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "restore", "linked", "Failed", "True", time.Minute)
	p.must(err)
	if failed := restore.Condition("Failed"); !strings.Contains(failed.Message, "link") {
		p.Errorf("a manifest that is a link: %+v", failed)
	}
}

// useLocalStore moves the test into the namespace that the operator has a local store for, empty,
// with a claim on the same directory.
func (p *place) useLocalStore() {
	p.Helper()
	_, err := p.Primary.Run(p.ctx, "", "delete", "namespace", p.namespace, kit.LocalNamespace, "--ignore-not-found", "--timeout=2m")
	p.must(err)
	_, err = p.Primary.Run(p.ctx, "", "delete", "persistentvolume", kit.LocalNamespace, "--ignore-not-found", "--timeout=1m")
	p.must(err)
	entries, err := os.ReadDir(p.localStore())
	p.must(err)
	for _, entry := range entries {
		p.must(os.RemoveAll(filepath.Join(p.localStore(), entry.Name())))
	}
	p.namespace = kit.LocalNamespace
	p.must(p.Primary.Apply(p.ctx, kit.NamespaceManifest(p.namespace)+fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  hostPath: {path: %[3]q, type: Directory}
  claimRef: {namespace: %[1]s, name: %[2]s}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: %[1]s
  resources: {requests: {storage: 1Gi}}
`, kit.LocalNamespace, kit.LocalClaim, p.localStore())))
	p.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := p.Primary.Run(ctx, "", "delete", "persistentvolume", kit.LocalNamespace, "--wait=false", "--ignore-not-found"); err != nil {
			p.Log(err)
		}
	})
}

func (p *place) localStore() string { return p.World.LocalStore("primary") }

// localFiles are the test's files below a part of its line: manifests, or data.
func (p *place) localFiles(part string) []string {
	p.Helper()
	line := filepath.Join(p.localStore(), "prod", "lifeboat", "v1", kit.ClusterName, p.namespace, "schedules", "telemetry")
	var files []string
	err := filepath.WalkDir(filepath.Join(line, part), func(path string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	p.must(err)
	return files
}

func (p *place) localManifestFiles() []string { return p.localFiles("manifests") }

// runsOf counts the runs that files belong to: `…/data/<slot>/<run>/…`.
func runsOf(files []string) int {
	runs := map[string]bool{}
	for _, file := range files {
		_, below, _ := strings.Cut(file, "/data/")
		if steps := strings.Split(below, "/"); len(steps) > 2 {
			runs[steps[0]+"/"+steps[1]] = true
		}
	}
	return len(runs)
}

func localManifests(name, claim string) string {
	return fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: StorageLocation
metadata: {name: %s, namespace: %s}
spec:
  local: {claimName: %s, prefix: prod}
`, name, kit.LocalNamespace, claim)
}
