// Package bed brings the whole test bed up and down.
package bed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/bed/influx"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/memory"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/store"
)

// Up brings up everything that is not running: the network, the store, both
// databases and the given clusters.
func Up(ctx context.Context, dirs layout.Dirs, clusters []layout.Cluster) error {
	if err := preflight(dirs); err != nil {
		return err
	}
	say := progress()
	if err := dirs.Claim(); err != nil {
		return err
	}
	if err := network.EnsureHub(ctx); err != nil {
		return err
	}
	say("network: ready")
	if err := store.Start(ctx, dirs); err != nil {
		return err
	}
	say("store: ready")
	for _, s := range []layout.Influx{layout.InfluxPrimary, layout.InfluxStandby} {
		if _, err := influx.Start(ctx, dirs, s.Name, false); err != nil {
			return err
		}
		say(s.Name + ": ready")
	}
	if err := memory.StartWatch(dirs); err != nil {
		return err
	}
	return startClusters(ctx, dirs, clusters, say)
}

// StartCluster brings up one cluster of a bed that is up.
func StartCluster(ctx context.Context, dirs layout.Dirs, c layout.Cluster) error {
	return startClusters(ctx, dirs, []layout.Cluster{c}, progress())
}

func startClusters(ctx context.Context, dirs layout.Dirs, clusters []layout.Cluster, say func(string)) error {
	failed := make([]error, len(clusters))
	var group sync.WaitGroup
	for i, c := range clusters {
		group.Add(1)
		go func() {
			defer group.Done()
			failed[i] = cluster.Start(ctx, dirs, c, func(step string) { say(c.Name + ": " + step) })
		}()
	}
	group.Wait()
	return errors.Join(failed...)
}

// progress prints lines with the seconds since it was called.
func progress() func(string) {
	started := time.Now()
	var lock sync.Mutex
	return func(line string) {
		lock.Lock()
		defer lock.Unlock()
		fmt.Printf("%6.1fs  %s\n", time.Since(started).Seconds(), line)
	}
}

// preflight finds out early what would fail late and less clearly.
func preflight(dirs layout.Dirs) error {
	if os.Getuid() != 0 {
		return errors.New("only root may make network namespaces and run kubelet")
	}
	for _, name := range []string{"kube", "coredns", "versitygw", "influxd"} {
		if _, err := os.Stat(dirs.Bin(name)); err != nil {
			return fmt.Errorf("%w; `bed build` makes it", err)
		}
	}
	images, err := filepath.Glob(filepath.Join(dirs.Images(), "*.tar"))
	if err == nil && len(images) == 0 {
		err = fmt.Errorf("no images in %s; `bed build` makes them", dirs.Images())
	}
	return err
}
