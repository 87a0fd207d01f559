package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lifeboat.dev/e2e/bed/layout"
)

// ClusterName is what the primary's operator calls its cluster, and so its folder in the bucket.
const ClusterName = "primary"

// World is where the demo and the tests work: a primary and a standby that have an operator, with
// a bucket that both reach and an InfluxDB each. It is the test bed, or, with CLUSTER=current, the
// current kubectl context, where one cluster and one operator are both.
type World struct {
	// Dirs are the test bed's; empty where there is none.
	Dirs layout.Dirs
	// Root is the repository.
	Root             string
	Primary, Standby Kubectl
	// Source and Target are the databases as this process reaches them.
	Source, Target Influx
	// SourceURL and TargetURL are the databases as pods reach them.
	SourceURL, TargetURL string
	// S3 is the bucket as this process reaches it.
	S3 string

	bucket, reader Bucket
	operators      []operator
	closing        []func(context.Context) error
}

// OnCurrent says whether CLUSTER=current was asked for. Any other value is a mistake.
func OnCurrent() (bool, error) {
	switch cluster := os.Getenv("CLUSTER"); cluster {
	case "":
		return false, nil
	case "current":
		return true, nil
	default:
		return false, fmt.Errorf("CLUSTER=%s: it can be `current`, or unset for the test bed", cluster)
	}
}

// Open finds the test bed that is up, or the current kubectl context, and installs the operators.
// Close takes away what it brought into a cluster that is not the bed's.
func Open(ctx context.Context) (*World, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	onCurrent, err := OnCurrent()
	if err != nil {
		return nil, err
	}
	var w *World
	if onCurrent {
		w, err = openCurrent(ctx, root)
	} else {
		w, err = openBed(root)
	}
	if err != nil {
		return nil, err
	}
	for _, operator := range w.operators {
		if err := operator.helm.Install(ctx, filepath.Join(root, "charts", "lifeboat"), operator.release); err != nil {
			return nil, errors.Join(err, w.Close(ctx))
		}
	}
	return w, nil
}

// operator is one that is to be installed.
type operator struct {
	helm    Helm
	release Release
}

// Close takes away what Open brought, unless the test bed's end does.
func (w *World) Close(ctx context.Context) error {
	var all error
	for _, end := range w.closing {
		all = errors.Join(all, end(ctx))
	}
	return all
}

// HasBed says whether processes, files of the store and the network are ours to break.
func (w *World) HasBed() bool { return w.Dirs.Home != "" }

// Clusters are all clusters by name: two, or one that is both sides.
func (w *World) Clusters() map[string]Kubectl {
	clusters := map[string]Kubectl{"primary": w.Primary}
	if w.Standby.Kubeconfig != w.Primary.Kubeconfig {
		clusters["standby"] = w.Standby
	}
	return clusters
}

// Writer is the bucket with keys that may write.
func (w *World) Writer(prefix string) Bucket {
	bucket := w.bucket
	bucket.Prefix = prefix
	return bucket
}

// Reader is the bucket with keys that can only read, as far as the world has such.
func (w *World) Reader(prefix string) Bucket {
	bucket := w.reader
	bucket.Prefix, bucket.ReadOnly = prefix, true
	return bucket
}
