// Package e2e tests Lifeboat on two real clusters, with a real object store and real databases.
// `make e2e` brings all of it up; see bed/README.md.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// shared is what all tests share: both clusters with an operator each.
var shared *kit.World

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	opening, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if shared, err = kit.Open(opening); err != nil {
		return 1, err
	}
	code := m.Run()
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return code, shared.Close(closing)
}

// needsBed skips a test under CLUSTER=current; why says what it does that only the bed allows.
func needsBed(t *testing.T, why string) {
	t.Helper()
	if !shared.HasBed() {
		t.Skipf("needs the test bed and not CLUSTER=current: it %s", why)
	}
}

// place is one test's own ground: a namespace on both sides, a prefix of the bucket and a database
// that are its own.
type place struct {
	*testing.T
	*kit.World
	ctx context.Context
	// namespace is the primary's; the standby's has the same name in a cluster of its own.
	namespace, standbyNamespace string
	database                    string
	bucket                      kit.Bucket
	reader                      kit.Bucket
}

func newPlace(t *testing.T) *place {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " ", "-").Replace(strings.TrimPrefix(t.Name(), "Test")))
	if len(name) > 40 {
		name = name[:40]
	}
	name = fmt.Sprintf("%s-%d", strings.Trim(name, "-"), time.Now().UnixNano()%1_000_000)
	p := &place{T: t, World: shared, ctx: t.Context(), namespace: name, database: strings.ReplaceAll(name, "-", "_")}
	p.standbyNamespace = p.Standby.Namespace(name)
	p.bucket, p.reader = p.Writer(name), p.Reader(name)
	p.must(p.Primary.Apply(p.ctx, kit.NamespaceManifest(p.namespace)))
	p.must(p.Standby.Apply(p.ctx, kit.NamespaceManifest(p.standbyNamespace)))
	p.must(p.Source.Execute(p.ctx, fmt.Sprintf("CREATE DATABASE %q", p.database)))
	t.Cleanup(p.cleanUp)
	return p
}

// cleanUp takes the test's objects away, so that nothing of it goes on; a failed test's stay.
func (p *place) cleanUp() {
	if p.Failed() {
		p.dump()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, kubectl := range []kit.Kubectl{p.Primary, p.Standby} {
		if _, err := kubectl.Run(ctx, "", "delete", "namespace", kubectl.Namespace(p.namespace), "--wait=false", "--ignore-not-found"); err != nil {
			p.Log(err)
		}
	}
	for _, server := range []kit.Influx{p.Source, p.Target} {
		if err := server.Execute(ctx, fmt.Sprintf("DROP DATABASE %q", p.database)); err != nil {
			p.Log(err)
		}
	}
}

// dump prints what a person would look at.
func (p *place) dump() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, kubectl := range []kit.Kubectl{p.Primary, p.Standby} {
		namespace := kubectl.Namespace(p.namespace)
		out, _ := kubectl.Run(ctx, "", "get", "sloc,bks,bk,rsts,rst,jobs,pods", "--namespace", namespace, "--output", "wide")
		p.Logf("--- %s\n%s", namespace, out)
	}
	for name, kubectl := range p.Clusters() {
		out, _ := kubectl.Run(ctx, "", "logs", "--namespace", kit.Namespace, "deployment/lifeboat", "--tail", "60")
		p.Logf("--- controller of %s\n%s", name, out)
	}
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// ledger makes an account of rows in the test's own database, with some history.
func (p *place) ledger(rows int) *kit.Ledger {
	p.Helper()
	const step = 2 * time.Millisecond
	ledger := &kit.Ledger{
		Influx: p.Source, Database: p.database, Step: step,
		Start: time.Now().Add(-time.Duration(rows) * step).Truncate(time.Second),
	}
	p.must(ledger.Load(p.ctx, rows, func(int) {}))
	return ledger
}

// backup makes one Backup and waits until it is complete.
func (p *place) backup(name string) kit.Object {
	p.Helper()
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+p.backupManifest(name)))
	object, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "backup", name, "Complete", "True", 2*time.Minute)
	p.must(err)
	return object
}

func (p *place) backupManifest(name string) string {
	return fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: %s, namespace: %s}
spec:
  source: {influxdb: {url: %q, databases: [{name: %q}]}}
  storage: {name: dr-bucket}
  retry: {limit: 0}
`, name, p.namespace, p.SourceURL, p.database)
}

// restoreManifest is a Restore on the standby by manifest path; extra lines belong to its spec.
func (p *place) restoreManifest(name, path, extra string) string {
	return fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Restore
metadata: {name: %s, namespace: %s}
spec:
  source: {manifest: {storage: {name: dr-bucket}, path: %q}}
  target: {influxdb: {url: %q}}
  retry: {limit: 0}
%s`, name, p.standbyNamespace, path, p.TargetURL, extra)
}

// stored is the file behind a key of the test's prefix: the store keeps objects as files.
func (p *place) stored(key string) string {
	return p.Dirs.Run("store", "data", layout.StoreBucket, p.bucket.Prefix, key)
}

// storedFiles are the keys below a folder of the test's prefix that end in a suffix.
func (p *place) storedFiles(folder, suffix string) []string {
	p.Helper()
	root := p.stored("")
	var keys []string
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && strings.HasSuffix(path, suffix) {
			key, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return nil
	})
	p.must(err)
	return keys
}
