package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"lifeboat.dev/e2e/kit"
)

// memory measures the most memory that the job's pod used, without page cache, for little and for
// much data. What grows is bounded by the buffers of the upload: noise fills most of them at 100 MB,
// steady values, which pack to a fourteenth, but a part; stored as they are, 100 MB fill them all.
func memory(ctx context.Context, g *ground) error {
	for _, kind := range []struct {
		name           string
		fields         values
		pointsPer100MB int
		codecs         []string
	}{{"noisy", noisy, 1_000_000, []string{"zstd"}}, {"steady", steady, 1_400_000, []string{"zstd", "none"}}} {
		for _, size := range []struct {
			name  string
			times int
		}{{"100m", 1}, {"1g", 10}} {
			database := "bench_memory_" + kind.name + "_" + size.name
			bytes, err := g.fill(ctx, database, size.times*kind.pointsPer100MB, kind.fields)
			if err != nil {
				return err
			}
			for _, codec := range kind.codecs {
				measured, err := g.memoryOf(ctx, kind.name+"-"+size.name+"-"+codec, database, codec)
				if err != nil {
					return err
				}
				fmt.Printf("memory: %d MB of line protocol, %s values, codec %s: %s\n", bytes>>20, kind.name, codec, measured)
			}
			g.drop(database)
		}
	}
	return nil
}

// memoryOf measures one export and one import.
func (g *ground) memoryOf(ctx context.Context, name, database, codec string) (string, error) {
	backup, err := g.backup(ctx, name, database, codec)
	if err != nil {
		return "", err
	}
	exported, err := g.peak(ctx, g.Primary, "primary", "backup", name)
	if err != nil {
		return "", err
	}
	restore, err := g.restore(ctx, name, backup.Text("status", "manifest", "path"))
	if err != nil {
		return "", err
	}
	imported, err := g.peak(ctx, g.Standby, "standby", "restore", name)
	if err != nil {
		return "", err
	}
	if err := g.Target.Execute(ctx, fmt.Sprintf("DROP DATABASE %q", database)); err != nil {
		return "", err
	}
	return fmt.Sprintf("export peak %.1f MiB in %s, import peak %.1f MiB in %s",
		exported, phase(backup, "export"), imported, phase(restore, "import")), nil
}

// peak bounds the memory of the pod of a run from above, without page cache, in MiB.
func (g *ground) peak(ctx context.Context, kubectl kit.Kubectl, cluster, kind, name string) (float64, error) {
	pods, err := kubectl.List(ctx, g.namespace, "pods", "--selector", "lifeboat.dev/"+kind+"="+name)
	if err != nil {
		return 0, err
	}
	if len(pods) == 0 {
		return 0, fmt.Errorf("%s %s has no pod", kind, name)
	}
	out, err := exec.CommandContext(ctx, g.Dirs.Bin("bed"), "memory-peak", cluster, g.namespace, pods[0].Name()).Output()
	if err != nil {
		return 0, fmt.Errorf("bed memory-peak: %w", err)
	}
	bytes, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return bytes / (1 << 20), err
}
