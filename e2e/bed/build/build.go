// Package build makes everything that the bed runs: real components from the
// Go module proxy, and system packages of Debian.
package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/bed/elastic"
	"lifeboat.dev/e2e/bed/image"
	"lifeboat.dev/e2e/bed/layout"
)

// silence is how long a step may take without a sign of life.
const silence = 15 * time.Second

// target is one run of `go build`.
type target struct {
	module   string   // below e2e
	packages []string // in the module, or the full path of a dependency
	ldflags  string
	names    []string // the binaries that come of it
	links    []string // other names of the first binary
}

const kubernetesVersion = "-X k8s.io/component-base/version.gitVersion=v1.34.4 " +
	"-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"

// The quickest come first, so that what is broken shows early.
var targets = []target{
	{module: ".", packages: []string{"./bed/pause"}, names: []string{"pause"}},
	{module: ".", packages: []string{"./bed/probe"}, names: []string{"probe"}},
	{module: ".", packages: []string{"./cmd/bed"}, names: []string{"bed"}},
	{
		module:   "bed/components/influxd",
		packages: []string{"github.com/influxdata/influxdb/cmd/influxd"},
		ldflags:  "-X main.version=1.7.11", names: []string{"influxd"},
	},
	{
		module: "bed/components/influxtools",
		packages: []string{
			"github.com/influxdata/influxdb/cmd/influx", "github.com/influxdata/influxdb/cmd/influx_inspect",
		},
		ldflags: "-X main.version=1.8.10", names: []string{"influx", "influx_inspect"},
	},
	{
		module: "bed/components/store", packages: []string{"github.com/versity/versitygw/cmd/versitygw"},
		names: []string{"versitygw"},
	},
	{
		module: "bed/components/addons", packages: []string{"./cmd/coredns", "helm.sh/helm/v3/cmd/helm"},
		ldflags: "-X helm.sh/helm/v3/internal/version.version=v3.19.0", names: []string{"coredns", "helm"},
	},
	{
		module: "bed/components/kube", packages: []string{"."}, ldflags: kubernetesVersion,
		names: []string{"kube"},
		links: []string{
			"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl", "etcd",
		},
	},
}

// ownImages are the images made of the bed's own programs.
var ownImages = map[string]string{"pause": cluster.PauseImage, "probe": cluster.ProbeImage}

// All builds everything that is not up to date.
func All(ctx context.Context, dirs layout.Dirs, repo string) error {
	started := time.Now()
	if err := packages(ctx); err != nil {
		return err
	}
	for _, dir := range []string{dirs.Bin(""), dirs.Images()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if err := t.build(ctx, dirs, repo); err != nil {
			return err
		}
	}
	run := func(what, dir string, argv ...string) error { return watched(ctx, what, dir, argv...) }
	if err := elastic.Build(elastic.Directory(dirs), run); err != nil {
		return err
	}
	for binary, name := range ownImages {
		if err := image.Archive(filepath.Join(dirs.Images(), binary+".tar"), name, dirs.Bin(binary)); err != nil {
			return err
		}
	}
	fmt.Printf("everything is built, in %s\n", time.Since(started).Round(time.Second))
	return nil
}

func (t target) build(ctx context.Context, dirs layout.Dirs, repo string) error {
	if !upToDate(dirs, repo, t) {
		// `go build` writes into a directory under the packages' own names.
		argv := []string{"go", "build", "-trimpath", "-ldflags", strings.TrimSpace("-s -w " + t.ldflags), "-o"}
		if len(t.names) == 1 {
			argv = append(argv, dirs.Bin(t.names[0]))
		} else {
			argv = append(argv, dirs.Bin("")+string(filepath.Separator))
		}
		argv = append(argv, t.packages...)
		if err := watched(ctx, "building "+strings.Join(append(t.names, t.links...), ", "),
			filepath.Join(repo, "e2e", t.module), argv...); err != nil {
			return err
		}
		if err := stamp(dirs, repo, t); err != nil {
			return err
		}
	}
	for _, link := range t.links {
		_ = os.Remove(dirs.Bin(link))
		if err := os.Symlink(t.names[0], dirs.Bin(link)); err != nil {
			return err
		}
	}
	return nil
}

// watched runs a program and says every few seconds that it still runs.
func watched(ctx context.Context, what, dir string, argv ...string) error {
	started := time.Now()
	fmt.Printf("%s ...\n", what)
	var output strings.Builder
	// Niced: a build may take minutes, and the machine has other work.
	cmd := exec.CommandContext(ctx, "nice", argv...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout = &output
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", what, err, output.String())
			}
			fmt.Printf("%s: done after %s\n", what, time.Since(started).Round(time.Second))
			return nil
		case <-tick.C:
			fmt.Printf("%s: %s so far\n", what, time.Since(started).Round(time.Second))
		}
	}
}
