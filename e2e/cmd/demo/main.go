// Command demo shows Lifeboat's main job from nothing: two clusters, one bucket, a backup every
// minute, a standby that replays each, the loss of the primary, and the proof of what is there.
//
// Its last line is `demo: ok rpo_seconds=… rto_seconds=… points=… content=equal`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	history := flag.Int("history", 1_000_000, "points to load before the first backup")
	replays := flag.Int("replays", 3, "replays to wait for before the primary is stopped")
	keep := flag.Bool("keep", false, "leave the clusters running at the end")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	demo := &demo{history: *history, replays: *replays, keep: *keep, began: time.Now()}
	summary, err := demo.run(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: failed: %v\n", err)
		stop()
		os.Exit(1)
	}
	fmt.Println(summary)
}
