package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"lifeboat.dev/e2e/bed/layout"
)

// speed measures export and import against the vendor's tools, on the same data.
func speed(ctx context.Context, g *ground) error {
	const database, points = "bench_speed", 2_000_000
	bytes, err := g.fill(ctx, database, points, steady)
	if err != nil {
		return err
	}
	defer g.drop(database)
	fmt.Printf("speed: %d points, four fields, 200 series, %d MB of line protocol\n", points, bytes>>20)

	scratch, err := os.MkdirTemp("", "lifeboat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	data := g.Dirs.Run("influx", layout.InfluxPrimary.Name)
	dump := filepath.Join(scratch, "dump.gz")
	vendorExport, err := timed(ctx, g.Dirs.Bin("influx_inspect"), "export", "-datadir", filepath.Join(data, "data"),
		"-waldir", filepath.Join(data, "wal"), "-database", database, "-compress", "-out", dump)
	if err != nil {
		return err
	}
	backup, err := g.backup(ctx, "speed", database, "zstd")
	if err != nil {
		return err
	}
	report("export", points, phase(backup, "export"), "influx_inspect export -compress", vendorExport)

	vendorImport, err := timed(ctx, g.Dirs.Bin("influx"), "-host", layout.InfluxStandby.Address, "-import", "-path", dump, "-compressed")
	if err != nil {
		return err
	}
	if err := g.Target.Execute(ctx, fmt.Sprintf("DROP DATABASE %q", database)); err != nil {
		return err
	}
	restore, err := g.restore(ctx, "speed", backup.Text("status", "manifest", "path"))
	if err != nil {
		return err
	}
	report("import", points, phase(restore, "import"), "influx -import -compressed", vendorImport)
	return nil
}

func timed(ctx context.Context, name string, args ...string) (time.Duration, error) {
	began := time.Now()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		// What went wrong stands at the end, behind the progress.
		err = fmt.Errorf("%s: %w: …%s", filepath.Base(name), err, out[max(0, len(out)-2000):])
	}
	return time.Since(began), err
}

func report(what string, points int, ours time.Duration, tool string, theirs time.Duration) {
	fmt.Printf("speed: %s: lifeboat %.2f s (%.0f points/s), %s %.2f s (%.0f points/s), ratio %.2f\n",
		what, ours.Seconds(), float64(points)/ours.Seconds(), tool, theirs.Seconds(), float64(points)/theirs.Seconds(),
		theirs.Seconds()/ours.Seconds())
}

// drop takes a database away on both servers.
func (g *ground) drop(database string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	statement := fmt.Sprintf("DROP DATABASE %q", database)
	if err := g.Source.Execute(ctx, statement); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := g.Target.Execute(ctx, statement); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
