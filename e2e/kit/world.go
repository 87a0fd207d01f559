package kit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"lifeboat.dev/e2e/bed/layout"
)

// Repository and Tag are what the test bed calls the image that it builds.
const Repository, Tag = "localhost/lifeboat", "dev"

// World is the test bed with an operator in each cluster.
type World struct {
	Dirs             layout.Dirs
	Root             string
	Primary, Standby Kubectl
	Source, Target   Influx
}

// Open finds the test bed that is up, and installs the operators.
func Open(ctx context.Context) (*World, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	dirs, err := layout.Find()
	if err != nil {
		return nil, err
	}
	w := &World{
		Dirs: dirs, Root: root,
		Primary: Kubectl{Binary: dirs.Bin("kubectl"), Kubeconfig: dirs.Kubeconfig("primary")},
		Standby: Kubectl{Binary: dirs.Bin("kubectl"), Kubeconfig: dirs.Kubeconfig("standby")},
		Source:  Influx{URL: "http://" + layout.InfluxPrimary.Address + ":8086"},
		Target:  Influx{URL: "http://" + layout.InfluxStandby.Address + ":8086"},
	}
	binary, err := os.ReadFile(filepath.Join(root, "target", "x86_64-unknown-linux-gnu", "release", "lifeboat"))
	if err != nil {
		return nil, fmt.Errorf("the operator is not built; run `make image-binary`: %w", err)
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(binary))
	for name, kubectl := range map[string]Kubectl{"primary": w.Primary, "standby": w.Standby} {
		helm := Helm{Binary: dirs.Bin("helm"), Kubeconfig: kubectl.Kubeconfig}
		if err := helm.Install(ctx, filepath.Join(root, "charts", "lifeboat"), name, Repository, Tag, digest); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// SourceURL is how pods reach the primary's database.
func SourceURL() string { return Inside(layout.InfluxPrimary.Name) }

// TargetURL is how pods reach the standby's database.
func TargetURL() string { return Inside(layout.InfluxStandby.Name) }

// Inside is how pods reach an InfluxDB of the test bed.
func Inside(server string) string { return "http://" + server + "." + layout.Domain + ":8086" }

// Writer is the bucket with keys that may write.
func Writer(prefix string) Bucket {
	return Bucket{
		Name: layout.StoreBucket, Prefix: prefix, Endpoint: "http://" + layout.StoreHost + ":7070",
		AccessKey: layout.StoreWriter.AccessKey, SecretKey: layout.StoreWriter.SecretKey,
	}
}

// Reader is the bucket with keys that can only read.
func Reader(prefix string) Bucket {
	bucket := Writer(prefix)
	bucket.AccessKey, bucket.SecretKey, bucket.ReadOnly = layout.StoreReader.AccessKey, layout.StoreReader.SecretKey, true
	return bucket
}
