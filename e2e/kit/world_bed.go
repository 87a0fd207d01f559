package kit

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"lifeboat.dev/e2e/bed/layout"
)

// Repository and Tag are what the test bed calls the image that it builds.
const Repository, Tag = "localhost/lifeboat", "dev"

// openBed is the test bed that is up.
func openBed(root string) (*World, error) {
	dirs, err := layout.Find()
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(Binary(root))
	if err != nil {
		return nil, fmt.Errorf("the operator is not built; run `make image-binary`: %w", err)
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(binary))
	w := &World{
		Dirs: dirs, Root: root,
		Primary:   Kubectl{Binary: dirs.Bin("kubectl"), Kubeconfig: dirs.Kubeconfig("primary")},
		Standby:   Kubectl{Binary: dirs.Bin("kubectl"), Kubeconfig: dirs.Kubeconfig("standby")},
		Source:    Influx{URL: "http://" + layout.InfluxPrimary.Address + ":8086"},
		Target:    Influx{URL: "http://" + layout.InfluxStandby.Address + ":8086"},
		SourceURL: Inside(layout.InfluxPrimary.Name),
		TargetURL: Inside(layout.InfluxStandby.Name),
		S3:        layout.StoreHTTP,
		bucket: Bucket{
			Name: layout.StoreBucket, Endpoint: "http://" + layout.StoreHost + ":7070", Region: layout.StoreRegion,
			AccessKey: layout.StoreWriter.AccessKey, SecretKey: layout.StoreWriter.SecretKey,
		},
	}
	w.reader = w.bucket
	w.reader.AccessKey, w.reader.SecretKey = layout.StoreReader.AccessKey, layout.StoreReader.SecretKey
	for name, kubectl := range w.Clusters() {
		store := w.LocalStore(name)
		if err := makeLocalStore(store); err != nil {
			return nil, err
		}
		w.operators = append(w.operators, operator{
			helm:    Helm{Binary: dirs.Bin("helm"), Kubeconfig: kubectl.Kubeconfig},
			release: Release{ClusterName: name, Repository: Repository, Tag: Tag, Content: digest, LocalStore: store},
		})
	}
	return w, nil
}

// Binary is the operator that make built, or the one that it says.
func Binary(root string) string {
	if binary := os.Getenv("BINARY"); binary != "" {
		return binary
	}
	return filepath.Join(root, "target", "x86_64-unknown-linux-gnu", "release", "lifeboat")
}

// LocalStore is the directory of this machine, and so of a cluster's node, that its operator has as
// a local store.
func (w *World) LocalStore(cluster string) string { return w.Dirs.Run("local-store", cluster) }

// makeLocalStore makes a directory that belongs to the user of Lifeboat's pods, as Kubernetes does
// it for most volumes, but not for those of a node.
func makeLocalStore(path string) error {
	const user = 65532
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chown(path, user, user)
}

// Inside is how pods reach an InfluxDB of the test bed.
func Inside(server string) string { return "http://" + server + "." + layout.Domain + ":8086" }
