package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/elastic"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// limits are the documents of a request that the vendor's tool is tried with beside its default,
// which is 100.
var limits = []string{"1000", "5000", "10000"}

// kuzzle measures the jobs of Lifeboat, run as processes, against multielasticdump, on two real
// Elasticsearch servers and without Kubernetes.
func kuzzle(ctx context.Context, tools tools) error {
	if tools.binary == "" || tools.multielasticdump == "" {
		return fmt.Errorf("name both programs by -binary and -multielasticdump; benches/run.sh does")
	}
	dirs, err := layout.Find()
	if err != nil {
		return err
	}
	directory := elastic.Directory(dirs)
	err = elastic.Build(directory, func(what, directory string, argv ...string) error {
		fmt.Fprintln(os.Stderr, what)
		command := exec.CommandContext(ctx, argv[0], argv[1:]...)
		command.Dir, command.Stdout, command.Stderr = directory, os.Stderr, os.Stderr
		return command.Run()
	})
	if err != nil {
		return err
	}
	servers, err := elastic.StartAll(ctx, directory, "127.0.0.1", 2)
	if err != nil {
		return err
	}
	for _, server := range servers {
		defer server.Stop()
	}
	scratch, err := os.MkdirTemp("", "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	for _, set := range []struct {
		name      string
		documents func(context.Context, int, func(string) error) error
	}{{"packages", packages}, {"small", small}} {
		race := race{tools, kit.Elastic{URL: servers[0].URL}, kit.Elastic{URL: servers[1].URL}, set.name, filepath.Join(scratch, set.name), 0}
		if err := race.fill(ctx, set.documents); err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
		if err := race.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
	}
	return nil
}

// packages gives a document for each package that apt knows.
func packages(ctx context.Context, _ int, add func(string) error) error {
	out, err := exec.CommandContext(ctx, "apt-cache", "dumpavail").Output()
	if err != nil {
		return fmt.Errorf("apt-cache dumpavail: %w", err)
	}
	given := 0
	for _, stanza := range strings.Split(string(out), "\n\n") {
		fields, last := map[string]string{}, ""
		for _, line := range strings.Split(stanza, "\n") {
			if name, value, found := strings.Cut(line, ": "); found && !strings.HasPrefix(line, " ") {
				fields[name], last = value, name
			} else if last != "" {
				fields[last] += "\n" + line
			}
		}
		if len(fields) == 0 {
			continue
		}
		document, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		if err := add(string(document)); err != nil {
			return err
		}
		given++
	}
	if given < 1000 {
		return fmt.Errorf("apt knows %d packages only: run apt-get update", given)
	}
	return nil
}

// small gives so many small documents.
func small(_ context.Context, count int, add func(string) error) error {
	for n := range count {
		document := fmt.Sprintf(`{"n":%d,"user":"user-%d","value":%d.25,"tags":["a","b%d"],"at":"2026-11-20T10:%02d:%02dZ"}`,
			n, n%1000, n%977, n%7, n/60%60, n%60)
		if err := add(document); err != nil {
			return err
		}
	}
	return nil
}

// race is one set of documents in one collection.
type race struct {
	tools
	source, target kit.Elastic
	name, scratch  string
	documents      int
}

func (r *race) index() string { return "&bench." + r.name }

func (r *race) fill(ctx context.Context, documents func(context.Context, int, func(string) error) error) error {
	body := fmt.Sprintf(`{"mappings":{"dynamic":false},"aliases":{%q:{}}}`, "@"+r.index())
	if err := r.source.Do(ctx, http.MethodPut, url.PathEscape(r.index()), body, nil); err != nil {
		return err
	}
	var bulk bytes.Buffer
	total := 0
	flush := func() error {
		total += bulk.Len()
		var answer struct{ Errors bool }
		err := r.source.Do(ctx, http.MethodPost, url.PathEscape(r.index())+"/_bulk", bulk.String(), &answer)
		if err == nil && answer.Errors {
			err = fmt.Errorf("documents were refused")
		}
		bulk.Reset()
		return err
	}
	err := documents(ctx, r.tools.documents, func(document string) error {
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", r.documents, document)
		r.documents++
		if bulk.Len() > 4<<20 {
			return flush()
		}
		return nil
	})
	if err == nil && bulk.Len() > 0 {
		err = flush()
	}
	if err != nil {
		return err
	}
	fmt.Printf("kuzzle: %s: %d documents, %d MB\n", r.name, r.documents, total>>20)
	return r.source.Do(ctx, http.MethodPost, url.PathEscape(r.index())+"/_forcemerge?max_num_segments=5", "", nil)
}

func (r *race) run(ctx context.Context) error {
	// The first one warms the server up.
	if _, _, err := r.export(ctx, "warm"); err != nil {
		return err
	}
	ours, backup, err := r.export(ctx, "export")
	if err != nil {
		return err
	}
	theirs, dump, err := r.vendor(ctx, func(limit string) (time.Duration, error) {
		directory := filepath.Join(r.scratch, "dump-"+limit)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return 0, err
		}
		return r.tool(ctx, limit, "--direction=dump", "--match=^&bench."+r.name+"$", "--input="+r.source.URL, "--output="+directory)
	})
	if err != nil {
		return err
	}
	r.report("export", ours, theirs)

	empty := func() error { return r.target.Do(ctx, http.MethodDelete, url.PathEscape("&bench.")+"*", "", nil) }
	if _, err = r.restore(ctx, "warm", backup); err != nil {
		return err
	}
	if err := empty(); err != nil {
		return err
	}
	if ours, err = r.restore(ctx, "import", backup); err != nil {
		return err
	}
	if err := empty(); err != nil {
		return err
	}
	theirs, _, err = r.vendor(ctx, func(limit string) (time.Duration, error) {
		took, err := r.tool(ctx, limit, "--direction=load", "--input="+filepath.Join(r.scratch, "dump-"+dump), "--output="+r.target.URL)
		if err != nil {
			return 0, err
		}
		if err := r.counted(ctx); err != nil {
			return 0, fmt.Errorf("multielasticdump: %w", err)
		}
		return took, empty()
	})
	if err != nil {
		return err
	}
	r.report("import", ours, theirs)
	return os.RemoveAll(r.scratch)
}

// vendor runs the tool at its default and at other limits; the limit that was quickest comes along.
func (r *race) vendor(ctx context.Context, run func(limit string) (time.Duration, error)) (map[string]time.Duration, string, error) {
	took, best := map[string]time.Duration{}, ""
	for _, limit := range append([]string{""}, limits...) {
		time, err := run(limit)
		if err != nil {
			return nil, "", err
		}
		took[limit] = time
		if limit != "" && (best == "" || time < took[best]) {
			best = limit
		}
	}
	return took, best, nil
}

func (r *race) tool(ctx context.Context, limit string, args ...string) (time.Duration, error) {
	if limit != "" {
		args = append(args, "--limit="+limit)
	}
	return timed(ctx, "node", append([]string{r.multielasticdump}, args...)...)
}

func (r *race) report(what string, ours measured, theirs map[string]time.Duration) {
	rate := func(took time.Duration) string {
		return fmt.Sprintf("%.2f s (%.0f/s)", took.Seconds(), float64(r.documents)/took.Seconds())
	}
	fmt.Printf("kuzzle: %s: %s: lifeboat %s, %.1f MiB at most", r.name, what, rate(ours.took), ours.mebibytes)
	fmt.Printf("; multielasticdump at its default %s, ratio %.2f", rate(theirs[""]), theirs[""].Seconds()/ours.took.Seconds())
	for _, limit := range limits {
		fmt.Printf("; --limit=%s %s, ratio %.2f", limit, rate(theirs[limit]), theirs[limit].Seconds()/ours.took.Seconds())
	}
	fmt.Println()
}

// counted says whether the target has as many documents as the source.
func (r *race) counted(ctx context.Context) error {
	path := url.PathEscape(r.index())
	if err := r.target.Do(ctx, http.MethodPost, path+"/_refresh", "", nil); err != nil {
		return err
	}
	var answer struct{ Count int }
	if err := r.target.Do(ctx, http.MethodGet, path+"/_count", "", &answer); err != nil {
		return err
	}
	if answer.Count != r.documents {
		return fmt.Errorf("the target has %d documents of %d", answer.Count, r.documents)
	}
	return nil
}
