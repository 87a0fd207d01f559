package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lifeboat.dev/e2e/kit"
)

var counter = regexp.MustCompile(`^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)

// writes counts what the Backups of a schedule cost the API server.
func writes(ctx context.Context, g *ground) error {
	const database = "bench_writes"
	if _, err := g.fill(ctx, database, 1000, steady); err != nil {
		return err
	}
	defer g.drop(database)
	schedule := kit.Schedule{Namespace: g.namespace, Name: "writes", Every: "10s", InfluxURL: g.SourceURL, Database: database}
	if err := g.Primary.Apply(ctx, schedule.Manifest()); err != nil {
		return err
	}
	complete := func() (int, error) {
		backups, err := g.Primary.List(ctx, g.namespace, "backups")
		done := 0
		for _, backup := range backups {
			if backup.Condition("Complete").Status == "True" {
				done++
			}
		}
		return done, err
	}
	reach := func(count int) error {
		return kit.Await(ctx, fmt.Sprintf("%d backups", count), 3*time.Minute, func() (bool, string, error) {
			done, err := complete()
			return done >= count, fmt.Sprintf("%d", done), err
		})
	}
	if err := reach(1); err != nil {
		return err
	}
	first, before, err := g.sample(ctx, complete)
	if err != nil {
		return err
	}
	if err := reach(first + 5); err != nil {
		return err
	}
	last, after, err := g.sample(ctx, complete)
	if err != nil {
		return err
	}
	fmt.Printf("writes: %.1f to the API server by one scheduled Backup (%d backups)\n", float64(after-before)/float64(last-first), last-first)
	return nil
}

// sample is the number of complete Backups, and of all writes so far to Lifeboat's kinds, of Jobs
// made, and of Lifeboat's events in the namespace.
func (g *ground) sample(ctx context.Context, complete func() (int, error)) (done, writes int, err error) {
	if done, err = complete(); err != nil {
		return 0, 0, err
	}
	metrics, err := g.Primary.Run(ctx, "", "get", "--raw", "/metrics")
	if err != nil {
		return 0, 0, err
	}
	for _, line := range strings.Split(metrics, "\n") {
		match := counter.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		labels := match[1]
		has := func(label string) bool { return strings.Contains(labels, label) }
		write := has(`verb="POST"`) || has(`verb="PUT"`) || has(`verb="PATCH"`) || has(`verb="DELETE"`)
		ours := has(`group="lifeboat.dev"`) || (has(`group="batch"`) && has(`resource="jobs"`) && has(`verb="POST"`))
		if write && ours {
			count, err := strconv.ParseFloat(match[2], 64)
			if err != nil {
				return 0, 0, err
			}
			writes += int(count)
		}
	}
	events, err := g.Primary.List(ctx, g.namespace, "events.v1.events.k8s.io")
	if err != nil {
		return 0, 0, err
	}
	for _, event := range events {
		if strings.HasPrefix(event.Text("reportingController"), "lifeboat") {
			writes++
		}
	}
	return done, writes, nil
}
