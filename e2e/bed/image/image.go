// Package image makes container images and puts them into the clusters, without
// a container engine and without a registry.
package image

import (
	"context"
	"fmt"

	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/layout"
)

// Ctr is the command line of containerd's client for a cluster.
func Ctr(c layout.Cluster, args ...string) []string {
	return append([]string{"ctr", "--address", c.ContainerdSocket(), "--namespace", "k8s.io"}, args...)
}

// Import loads the images of a docker archive into a cluster.
func Import(ctx context.Context, c layout.Cluster, archive string) error {
	if err := command.Run(ctx, Ctr(c, "images", "import", archive)...); err != nil {
		return fmt.Errorf("load %s into %s: %w", archive, c.Name, err)
	}
	return nil
}
