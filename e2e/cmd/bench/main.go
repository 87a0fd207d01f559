// Command bench measures Lifeboat against the vendor's tools on the test bed. It prints numbers
// and ratios and judges nothing; see benches/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"time"

	"lifeboat.dev/e2e/kit"
)

func main() {
	only := flag.String("only", "", "one of speed, memory, writes, kuzzle, rethinkdb")
	var tools tools
	flag.StringVar(&tools.binary, "binary", "", "the binary that kuzzle and rethinkdb run")
	flag.StringVar(&tools.multielasticdump, "multielasticdump", "", "the vendor's program for kuzzle")
	flag.StringVar(&tools.rethinkdb, "rethinkdb-tools", "", "the directory of the vendor's programs for rethinkdb")
	flag.IntVar(&tools.documents, "documents", 1_000_000, "small documents for kuzzle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, tools); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// tools are what the benchmarks need that run without Kubernetes.
type tools struct {
	binary, multielasticdump, rethinkdb string
	documents                           int
}

func run(ctx context.Context, only string, given tools) error {
	for _, bench := range []struct {
		name string
		run  func(context.Context, tools) error
	}{{"kuzzle", kuzzle}, {"rethinkdb", rethinkdbSpeed}} {
		if only != "" && only != bench.name {
			continue
		}
		if err := bench.run(ctx, given); err != nil {
			return fmt.Errorf("%s: %w", bench.name, err)
		}
		if only != "" {
			return nil
		}
	}
	return runOnBed(ctx, only)
}

func runOnBed(ctx context.Context, only string) error {
	onCurrent, err := kit.OnCurrent()
	if err != nil {
		return err
	}
	if onCurrent {
		return errors.New("the vendor's tools and the memory of pods are at hand on the test bed only, and not with CLUSTER=current")
	}
	world, err := kit.Open(ctx)
	if err != nil {
		return err
	}
	for _, bench := range []struct {
		name string
		run  func(context.Context, *ground) error
	}{{"speed", speed}, {"memory", memory}, {"writes", writes}} {
		if only != "" && only != bench.name {
			continue
		}
		ground, err := newGround(ctx, world, bench.name)
		if err != nil {
			return err
		}
		err = bench.run(ctx, ground)
		ground.clear()
		if err != nil {
			return fmt.Errorf("%s: %w", bench.name, err)
		}
	}
	return nil
}

// ground is where one benchmark works: a namespace in both clusters, with the bucket.
type ground struct {
	*kit.World
	namespace string
}

func newGround(ctx context.Context, world *kit.World, name string) (*ground, error) {
	g := &ground{world, fmt.Sprintf("bench-%s-%d", name, time.Now().Unix())}
	if err := g.Primary.Apply(ctx, kit.NamespaceManifest(g.namespace)+kit.BucketManifests(g.namespace, g.Writer(g.namespace))); err != nil {
		return nil, err
	}
	return g, g.Standby.Apply(ctx, kit.NamespaceManifest(g.namespace)+kit.BucketManifests(g.namespace, g.Reader(g.namespace)))
}

// clear takes everything away again, so that one benchmark does not weigh on the next.
func (g *ground) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, kubectl := range []kit.Kubectl{g.Primary, g.Standby} {
		if _, err := kubectl.Run(ctx, "", "delete", "namespace", g.namespace, "--wait=false"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// values gives the fields of a point.
type values func(n int) string

// steady are values that pack well, as those of counters and gauges at rest.
func steady(n int) string {
	return fmt.Sprintf("a=%d.25,b=%di,c=%t,d=%f", n%1000, n, n%2 == 0, float64(n)/7)
}

// noisy are values that hardly pack, as those of measuring instruments.
func noisy(n int) string {
	random := rand.New(rand.NewPCG(uint64(n), 0))
	return fmt.Sprintf("a=%v,b=%di,c=%t,d=%v", random.NormFloat64(), random.Int64N(1<<40), random.Int64N(2) == 0, random.Float64())
}

// fill writes points with four fields in 200 series, and says how many bytes of line protocol
// they were.
func (g *ground) fill(ctx context.Context, database string, points int, fields values) (bytes int, err error) {
	if err := g.Source.Execute(ctx, fmt.Sprintf("CREATE DATABASE %q", database)); err != nil {
		return 0, err
	}
	const batch = 10_000
	start := time.Now().Add(-24 * time.Hour).UnixNano()
	for first := 0; first < points; first += batch {
		var lines strings.Builder
		for n := first; n < min(first+batch, points); n++ {
			fmt.Fprintf(&lines, "m%d,host=h%03d,region=eu %s %d\n", n%8, n%200, fields(n), start+int64(n)*1_000_000)
		}
		bytes += lines.Len()
		if err := g.Source.Write(ctx, database, lines.String()); err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// backup makes a Backup with a codec and gives it back when it is complete.
func (g *ground) backup(ctx context.Context, name, database, codec string) (kit.Object, error) {
	manifest := fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: %s, namespace: %s}
spec:
  source: {influxdb: {url: %q, databases: [{name: %q}]}}
  storage: {name: dr-bucket}
  compression: {codec: %s}
  retry: {limit: 0}
`, name, g.namespace, g.SourceURL, database, codec)
	if err := g.Primary.Apply(ctx, manifest); err != nil {
		return nil, err
	}
	return g.Primary.AwaitCondition(ctx, g.namespace, "backup", name, "Complete", "True", 15*time.Minute)
}

// restore makes a Restore of a manifest and gives it back when it is complete.
func (g *ground) restore(ctx context.Context, name, path string) (kit.Object, error) {
	manifest := fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: Restore
metadata: {name: %s, namespace: %s}
spec:
  source: {manifest: {storage: {name: dr-bucket}, path: %q}}
  target: {influxdb: {url: %q}}
  preflight: Sizes
  verify: None
  retry: {limit: 0}
`, name, g.namespace, path, g.TargetURL)
	if err := g.Standby.Apply(ctx, manifest); err != nil {
		return nil, err
	}
	return g.Standby.AwaitCondition(ctx, g.namespace, "restore", name, "Complete", "True", 15*time.Minute)
}

// phase is how long a phase of a run took, by the pod's own word.
func phase(object kit.Object, name string) time.Duration {
	list, _ := object.Path("status", "phases").([]any)
	for _, entry := range list {
		timing, _ := entry.(map[string]any)
		if kit.Object(timing).Text("name") == name {
			return kit.Object(timing).Time("endTime").Sub(kit.Object(timing).Time("startTime"))
		}
	}
	return 0
}
