package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measured is what a job took.
type measured struct {
	took time.Duration
	// mebibytes is the most memory of its own that was seen, without the program's file.
	mebibytes float64
}

// reference names a backup in the local store of a race.
type reference struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// export backs the collection up into a directory.
func (r *race) export(ctx context.Context, run string) (measured, reference, error) {
	slot := time.Now().UTC().Format("20060102t150405z")
	order := map[string]any{
		"task": "export",
		"identity": map[string]any{
			"cluster": "bench", "clusterUid": "bench", "namespace": "bench", "schedule": run,
			"backup": run + "-" + slot, "backupUid": run, "slot": slot,
		},
		"source": map[string]any{"kuzzle": map[string]any{
			"elasticsearch": map[string]any{"url": r.source.URL}, "include": []string{"^&bench\\." + r.name + "$"},
		}},
		"compression": map[string]any{"codec": "zstd"},
	}
	took, outcome, err := jobPod{r.binary, r.scratch}.job(ctx, run, order)
	return took, backup(outcome), err
}

// restore brings a backup into the empty target.
func (r *race) restore(ctx context.Context, run string, from reference) (measured, error) {
	order := map[string]any{
		"task": "import", "restore": "bench/" + run, "manifests": []reference{from},
		"target": map[string]any{"kuzzle": map[string]any{"elasticsearch": map[string]any{"url": r.target.URL}}},
		"remap":  []any{}, "conflictPolicy": "Fail", "dryRun": false, "preflight": "Sizes", "verify": "None",
	}
	took, _, err := jobPod{r.binary, r.scratch}.job(ctx, run, order)
	if err != nil {
		return took, err
	}
	return took, r.counted(ctx)
}

// jobPod runs the program as a job pod does, below a root of its own.
type jobPod struct{ binary, scratch string }

// job runs an order; what it wrote as its outcome.
func (p jobPod) job(ctx context.Context, run string, order map[string]any) (measured, any, error) {
	outcome := filepath.Join(p.scratch, "dev", "termination-log")
	for _, directory := range []string{filepath.Dir(outcome), filepath.Join(p.scratch, "var/lib/lifeboat/store")} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return measured{}, nil, err
		}
	}
	if err := os.WriteFile(outcome, nil, 0o644); err != nil {
		return measured{}, nil, err
	}
	const limit = 30 * time.Minute
	order["storage"] = map[string]any{"local": map[string]any{"claimName": "store"}}
	order["limits"] = map[string]any{}
	order["bounds"] = map[string]any{"timeoutSeconds": int(limit.Seconds()), "notAfter": time.Now().UTC().Add(limit).Format(time.RFC3339)}
	text, err := json.Marshal(order)
	if err != nil {
		return measured{}, nil, err
	}
	file := filepath.Join(p.scratch, "order.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return measured{}, nil, err
	}
	task, _ := order["task"].(string)
	command := exec.CommandContext(ctx, p.binary, task, "--order", file, "--root", p.scratch)
	// As a job pod has it.
	command.Env = append(os.Environ(), "LIFEBOAT_RUN_ID="+run, "MALLOC_MMAP_THRESHOLD_=1048576")
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	began := time.Now()
	if err := command.Start(); err != nil {
		return measured{}, nil, err
	}
	peak := make(chan float64, 1)
	done := make(chan struct{})
	go func() { peak <- watch(command.Process.Pid, done) }()
	err = command.Wait()
	close(done)
	took := measured{time.Since(began), <-peak}
	said, readErr := os.ReadFile(outcome)
	if err != nil {
		return took, nil, fmt.Errorf("lifeboat %s: %w: %.2000s\n%s", task, err, said, log.Bytes()[max(0, log.Len()-2000):])
	}
	if readErr != nil {
		return took, nil, readErr
	}
	var parsed any
	err = json.Unmarshal(said, &parsed)
	return took, parsed, err
}

// watch looks at a process's own memory until it is done; the most, in MiB.
func watch(pid int, done <-chan struct{}) float64 {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	most := 0.0
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, found := strings.Cut(string(status), "RssAnon:"); found {
			kibibytes, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			most = max(most, kibibytes/1024)
		}
		select {
		case <-done:
			return most
		case <-tick.C:
		}
	}
}

// backup finds the manifest that an outcome names.
func backup(outcome any) reference {
	object, _ := outcome.(map[string]any)
	path, _ := object["path"].(string)
	if digest, ok := object["sha256"].(string); ok && path != "" {
		return reference{path, digest}
	}
	for _, child := range object {
		if found := backup(child); found.Path != "" {
			return found
		}
	}
	return reference{}
}
