package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/layout"
)

// Name is the image that the tests deploy, without its tag.
const Name = "localhost/lifeboat"

// stage is the stage of the Dockerfile that takes a binary built elsewhere.
const stage = "runtime-prebuilt"

// Build builds the last stage of a Dockerfile around a static binary, on an empty
// base image, since there is no registry to get another from. It returns a docker archive.
func Build(ctx context.Context, dirs layout.Dirs, dockerfile, binary, tag string) (string, error) {
	// A context of its own: a checkout with its build output is gigabytes.
	scratch, err := os.MkdirTemp("", "lifeboat-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := copyFile(binary, filepath.Join(scratch, "lifeboat"), 0o755); err != nil {
		return "", fmt.Errorf("the binary for the image: %w", err)
	}
	name := Name + ":" + tag
	archive := filepath.Join(dirs.Images(), "lifeboat-"+tag+".tar")
	if err := os.MkdirAll(dirs.Images(), 0o755); err != nil {
		return "", err
	}
	if err := os.Remove(archive); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	// Storage that is thrown away, and nothing but what an unprivileged machine has.
	buildah := []string{"buildah", "--storage-driver", "vfs",
		"--root", filepath.Join(scratch, "storage"), "--runroot", filepath.Join(scratch, "runtime")}
	if err := command.Run(ctx, append(buildah, "bud", "--isolation", "chroot", "--layers=false",
		"--target", stage, "--build-arg", "RUNTIME_BASE=scratch", "--build-arg", "BINARY=lifeboat",
		"--file", dockerfile, "--tag", name, scratch)...); err != nil {
		return "", err
	}
	if err := command.Run(ctx, append(buildah, "push", name, "docker-archive:"+archive+":"+name)...); err != nil {
		return "", err
	}
	return archive, nil
}

func copyFile(from, to string, mode os.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Close()
}
