package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/standin/rethinkdb"
)

const rethinkdbRows = 400_000

// rethinkdbSpeed measures export and import against the vendor's tools, on two clusters that are
// stand-ins: no server can be had. What it says of the clients holds; a real server may be slower than
// either. It needs no bed.
func rethinkdbSpeed(ctx context.Context) error {
	tools := os.Getenv("LIFEBOAT_TEST_RETHINKDB_TOOLS")
	lifeboat := os.Getenv("BINARY")
	if tools == "" || lifeboat == "" {
		return fmt.Errorf("LIFEBOAT_TEST_RETHINKDB_TOOLS names the directory of rethinkdb-dump, BINARY the program lifeboat: run it by make bench BENCH=rethinkdb")
	}
	scratch, err := os.MkdirTemp("", "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	source, err := newRethinkdb()
	if err != nil {
		return err
	}
	target, err := newRethinkdb()
	if err != nil {
		return err
	}
	if err := source.fill(); err != nil {
		return err
	}
	fmt.Printf("rethinkdb, on a stand-in: %d rows of 200 bytes in one table, and as many in four\n", rethinkdbRows)

	var theirs time.Duration
	dump := filepath.Join(scratch, "dump.tar.gz")
	for _, clients := range []string{"3", "8"} {
		took, err := timed(ctx, filepath.Join(tools, "rethinkdb-dump"), "-c", source.address, "-f", dump, "--overwrite-file", "--clients", clients)
		if err != nil {
			return err
		}
		theirs = fastest(theirs, took)
		fmt.Printf("rethinkdb, on a stand-in: rethinkdb-dump --clients %s: %.1f s\n", clients, took.Seconds())
	}
	pod := jobPod{lifeboat, filepath.Join(scratch, "pod")}
	exported, err := pod.run(ctx, "export", map[string]any{
		"identity": map[string]any{"cluster": "prod", "clusterUid": "a", "namespace": "iot", "schedule": "shop", "backup": "shop-20261120t100000z", "backupUid": "b", "slot": "20261120t100000z"},
		"source":   map[string]any{"rethinkdb": map[string]any{"url": "rethinkdb://" + source.address}},
		// The vendor's archive is gzip at its own level: ours is the default.
		"compression": map[string]any{"codec": "zstd"},
	})
	if err != nil {
		return err
	}
	reportRethinkdb("export", exported, "rethinkdb-dump", theirs)

	theirs = 0
	for _, clients := range []string{"8", "16"} {
		took, err := timed(ctx, filepath.Join(tools, "rethinkdb-restore"), dump, "-c", target.address, "--clients", clients)
		if err != nil {
			return err
		}
		theirs = fastest(theirs, took)
		fmt.Printf("rethinkdb, on a stand-in: rethinkdb-restore --clients %s: %.1f s\n", clients, took.Seconds())
		if _, err := target.server.Run(`[58,["shop"]]`); err != nil {
			return err
		}
	}
	imported, err := pod.run(ctx, "import", map[string]any{
		"restore": "iot/shop", "manifests": []any{exported.manifest}, "remap": []any{}, "dryRun": false,
		"target":         map[string]any{"rethinkdb": map[string]any{"url": "rethinkdb://" + target.address}},
		"conflictPolicy": "Fail", "preflight": "Sizes", "verify": "None",
	})
	if err != nil {
		return err
	}
	reportRethinkdb("import", imported, "rethinkdb-restore", theirs)
	return nil
}

func fastest(one, other time.Duration) time.Duration {
	if one == 0 {
		return other
	}
	return min(one, other)
}

func reportRethinkdb(what string, ours ran, tool string, theirs time.Duration) {
	fmt.Printf("rethinkdb, on a stand-in: %s: lifeboat %.1f s (%.0f rows/s), %s at its best %.1f s, ratio %.2f\n",
		what, ours.took.Seconds(), 2*rethinkdbRows/ours.took.Seconds(), tool, theirs.Seconds(), theirs.Seconds()/ours.took.Seconds())
}

// rethinkdbStandin is one in this process.
type rethinkdbStandin struct {
	server  *rethinkdb.Server
	address string
}

func newRethinkdb() (rethinkdbStandin, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return rethinkdbStandin{}, err
	}
	server := rethinkdb.New("s1")
	go server.Serve(listener)
	return rethinkdbStandin{server, listener.Addr().String()}, nil
}

func (s rethinkdbStandin) fill() error {
	terms := []string{`[58,["test"]]`, `[57,["shop"]]`, `[60,[[14,["shop"]],"large"]]`}
	for n := range 4 {
		terms = append(terms, fmt.Sprintf(`[60,[[14,["shop"]],"small%d"]]`, n))
	}
	for first := 0; first < rethinkdbRows; first += 1000 {
		for _, table := range []string{"large", fmt.Sprintf("small%d", first/1000%4)} {
			rows := make([]string, 0, 1000)
			for n := first; n < first+1000; n++ {
				rows = append(rows, fmt.Sprintf(`{"id":"%08x-order-%d","customer":{"name":"Zoë %d","tags":[2,["a","b"]]},"total":%d.25,"at":{"$reql_type$":"TIME","epoch_time":1700000000.5,"timezone":"+01:00"},"note":"row number %d"}`, uint32(n)*2654435761, n, n, n%1000, n))
			}
			terms = append(terms, fmt.Sprintf(`[56,[[15,[[14,["shop"]],%q]],[2,[%s]]]]`, table, strings.Join(rows, ",")))
		}
	}
	for _, term := range terms {
		if _, err := s.server.Run(term); err != nil {
			return err
		}
	}
	return nil
}

// jobPod runs the program as a job pod does, with a directory as its store.
type jobPod struct{ program, root string }

// ran is a run of a job.
type ran struct {
	took     time.Duration
	manifest any
}

func (p jobPod) run(ctx context.Context, task string, order map[string]any) (ran, error) {
	log := filepath.Join(p.root, "dev/termination-log")
	for _, directory := range []string{filepath.Join(p.root, "var/lib/lifeboat/store"), filepath.Dir(log)} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return ran{}, err
		}
	}
	// As the kubelet makes it.
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		return ran{}, err
	}
	order["task"] = task
	order["storage"] = map[string]any{"local": map[string]any{"claimName": "store"}}
	order["limits"] = map[string]any{}
	order["bounds"] = map[string]any{"timeoutSeconds": 900, "notAfter": time.Now().Add(15 * time.Minute).UTC().Format(time.RFC3339)}
	text, err := json.Marshal(order)
	if err != nil {
		return ran{}, err
	}
	file := filepath.Join(p.root, "order.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return ran{}, err
	}
	command := exec.CommandContext(ctx, p.program, task, "--order", file, "--root", p.root)
	command.Env = append(os.Environ(), "LIFEBOAT_RUN_ID=run-"+task, "MALLOC_MMAP_THRESHOLD_=262144")
	began := time.Now()
	out, err := command.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return ran{}, fmt.Errorf("lifeboat %s: %w: …%s", task, err, out[max(0, len(out)-2000):])
	}
	message, err := os.ReadFile(log)
	if err != nil {
		return ran{}, err
	}
	var outcome struct{ Manifest any }
	if err := json.Unmarshal(message, &outcome); err != nil {
		return ran{}, err
	}
	return ran{took, outcome.Manifest}, nil
}
