package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
)

// Go knows by itself what to compile again, but it links each time, and linking
// Kubernetes takes longer than all the rest. So what a binary was built of is remembered.

func upToDate(dirs layout.Dirs, repo string, t target) bool {
	for _, name := range t.names {
		if _, err := os.Stat(dirs.Bin(name)); err != nil {
			return false
		}
	}
	want, err := fingerprint(repo, t)
	if err != nil {
		return false
	}
	have, err := os.ReadFile(stampFile(dirs, t))
	return err == nil && string(have) == want
}

func stamp(dirs layout.Dirs, repo string, t target) error {
	value, err := fingerprint(repo, t)
	if err != nil {
		return err
	}
	return os.WriteFile(stampFile(dirs, t), []byte(value), 0o644)
}

func stampFile(dirs layout.Dirs, t target) string { return dirs.Bin("." + t.names[0] + ".built") }

// fingerprint covers the module's own files, which name the exact version of all others.
func fingerprint(repo string, t target) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %+v\n", runtime.Version(), t)
	root := filepath.Join(repo, "e2e", t.module)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// The components are modules of their own.
			if entry.Name() == "components" {
				return filepath.SkipDir
			}
			return nil
		}
		if name := entry.Name(); strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".md") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", path[len(root):], len(data))
		sum.Write(data)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}
