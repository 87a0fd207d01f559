package cluster

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"strings"
	"text/template"

	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/layout"
)

// ProbeImage is the image of the program that Check runs.
const ProbeImage = "localhost/bed-probe:dev"

//go:embed check
var checks embed.FS

// Check runs a Job in a cluster, with the rights that a careful administrator
// would leave it, that looks up names and reaches the store and the databases.
func Check(ctx context.Context, dirs layout.Dirs, c layout.Cluster) (string, error) {
	authority, err := os.ReadFile(dirs.StoreCA())
	if err != nil {
		return "", err
	}
	t, err := template.ParseFS(checks, "check/job.yaml")
	if err != nil {
		return "", err
	}
	var manifest bytes.Buffer
	if err := t.Execute(&manifest, map[string]any{
		"Image": ProbeImage,
		"CA":    string(authority),
		"Targets": []string{
			"kubernetes.default.svc.cluster.local",
			"kube-dns.kube-system",
			layout.StoreHost,
			"http://" + layout.StoreHost + ":7070/health",
			"https://" + layout.StoreHost + ":7443/health",
			"403=http://" + layout.StoreHost + ":7070/" + layout.StoreBucket,
			"http://" + layout.InfluxPrimary.Name + "." + layout.Domain + ":8086/ping",
			"http://" + layout.InfluxStandby.Name + "." + layout.Domain + ":8086/ping",
		},
	}); err != nil {
		return "", err
	}
	kubectl := []string{dirs.Bin("kubectl"), "--kubeconfig", dirs.Kubeconfig(c.Name), "--namespace", "default"}
	remove := append(kubectl[:len(kubectl):len(kubectl)], "delete", "job", "bed-check", "--ignore-not-found", "--wait")
	if err := command.Run(ctx, remove...); err != nil {
		return "", err
	}
	if _, err := command.Pipe(ctx, manifest.String(), append(kubectl[:len(kubectl):len(kubectl)], "apply", "-f", "-")...); err != nil {
		return "", err
	}
	// Either condition ends the wait: "Complete" alone would sit out the whole timeout of a failed Job.
	waited := command.Run(ctx, append(kubectl[:len(kubectl):len(kubectl)], "wait", "job/bed-check", "--timeout=90s",
		`--for=jsonpath={.status.conditions[*].reason}`)...)
	said, logs := command.Output(ctx, append(kubectl[:len(kubectl):len(kubectl)], "logs", "job/bed-check")...)
	if waited != nil || logs != nil || said == "" || strings.Contains(said, "FAILED") {
		return said, fmt.Errorf("check of cluster %s failed (%v, %v):\n%s", c.Name, waited, logs, said)
	}
	return said, command.Run(ctx, remove...)
}
