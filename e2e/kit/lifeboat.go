package kit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Namespace is where the demo's and the tests' operators run.
const Namespace = "lifeboat-system"

// LocalNamespace and LocalClaim are what a Release's LocalStore is the store of.
const LocalNamespace, LocalClaim = "local-store", "backups"

// Helm installs charts into one cluster.
type Helm struct {
	Binary     string
	Kubeconfig string
}

// Release is what is installed of the operator.
type Release struct {
	ClusterName, Repository, Tag string
	// Content names what is in the image, so that a new one under the same tag replaces the pod.
	Content string
	// LocalStore is a directory of the node that the operator gets as a local store; empty: none.
	LocalStore string
	// DropDefinitions has the definitions go with the release.
	DropDefinitions bool
}

// Install installs or upgrades the operator and waits until it is ready.
func (h Helm) Install(ctx context.Context, chart string, release Release) error {
	args := []string{"upgrade", "--install", "lifeboat", chart,
		"--namespace", Namespace, "--create-namespace", "--wait", "--timeout", "3m",
		"--set", "clusterName=" + release.ClusterName,
		"--set", "image.repository=" + release.Repository, "--set", "image.tag=" + release.Tag,
		"--set", fmt.Sprintf("crds.keep=%t", !release.DropDefinitions),
		"--set-string", "podAnnotations.content=" + release.Content}
	if release.LocalStore != "" {
		const store = "localStores[0]."
		args = append(args, "--set", store+"namespace="+LocalNamespace, "--set", store+"claimName="+LocalClaim,
			"--set", store+"volume.hostPath.path="+release.LocalStore, "--set", store+"volume.hostPath.type=Directory")
	}
	return h.run(ctx, args...)
}

// Uninstall removes the operator.
func (h Helm) Uninstall(ctx context.Context) error {
	return h.run(ctx, "uninstall", "lifeboat", "--namespace", Namespace, "--wait", "--timeout", "3m", "--ignore-not-found")
}

func (h Helm) run(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, h.Binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+h.Kubeconfig)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// RepositoryRoot is the folder with the chart, found from the working directory upwards.
func RepositoryRoot() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "charts", "lifeboat", "Chart.yaml")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", fmt.Errorf("run it from within a clone of the project: no charts/lifeboat above %s", at)
		}
		at = up
	}
}

// AwaitCondition waits until a condition of an object has a status.
func (k Kubectl) AwaitCondition(ctx context.Context, namespace, kind, name, condition, status string, limit time.Duration) (Object, error) {
	var object Object
	err := Await(ctx, fmt.Sprintf("%s %s/%s %s=%s", kind, namespace, name, condition, status), limit, func() (bool, string, error) {
		got, err := k.Get(ctx, namespace, kind, name)
		if err != nil || got == nil {
			return false, "no such object", err
		}
		object = got
		have := got.Condition(condition)
		return have.Status == status, fmt.Sprintf("%s=%s %s: %s", condition, have.Status, have.Reason, have.Message), nil
	})
	return object, err
}
