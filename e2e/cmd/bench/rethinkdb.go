package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/standin/rethinkdb"
)

const rethinkdbRows = 400_000

// rethinkdbSpeed measures export and import against the vendor's tools, on two clusters that are
// stand-ins: no server can be had. What it says of the clients holds; a real server may be slower than
// either. It needs no bed.
func rethinkdbSpeed(ctx context.Context, tools tools) error {
	if tools.binary == "" || tools.rethinkdb == "" {
		return fmt.Errorf("name the program and the directory of the vendor's by -binary and -rethinkdb-tools; benches/run.sh does")
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
		took, err := timed(ctx, filepath.Join(tools.rethinkdb, "rethinkdb-dump"), "-c", source.address, "-f", dump, "--overwrite-file", "--clients", clients)
		if err != nil {
			return err
		}
		theirs = fastest(theirs, took)
		fmt.Printf("rethinkdb, on a stand-in: rethinkdb-dump --clients %s: %.1f s\n", clients, took.Seconds())
	}
	pod := jobPod{tools.binary, filepath.Join(scratch, "pod")}
	exported, outcome, err := pod.job(ctx, "export", map[string]any{
		"task":     "export",
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
		took, err := timed(ctx, filepath.Join(tools.rethinkdb, "rethinkdb-restore"), dump, "-c", target.address, "--clients", clients)
		if err != nil {
			return err
		}
		theirs = fastest(theirs, took)
		fmt.Printf("rethinkdb, on a stand-in: rethinkdb-restore --clients %s: %.1f s\n", clients, took.Seconds())
		if _, err := target.server.Run(`[58,["shop"]]`); err != nil {
			return err
		}
	}
	imported, _, err := pod.job(ctx, "import", map[string]any{
		"task": "import", "restore": "iot/shop", "manifests": []reference{backup(outcome)}, "remap": []any{}, "dryRun": false,
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

func reportRethinkdb(what string, ours measured, tool string, theirs time.Duration) {
	fmt.Printf("rethinkdb, on a stand-in: %s: lifeboat %.1f s (%.0f rows/s, peak %.0f MiB), %s at its best %.1f s, ratio %.2f\n",
		what, ours.took.Seconds(), 2*rethinkdbRows/ours.took.Seconds(), ours.mebibytes, tool, theirs.Seconds(), theirs.Seconds()/ours.took.Seconds())
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
