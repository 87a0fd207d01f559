package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// standbySuffix tells the standby's namespaces from the primary's in the one cluster.
const standbySuffix = "-standby"

// current is what CLUSTER=current needs to be told.
type current struct {
	image                  string
	endpoint, endpointHere string
	bucket, region         string
	writer, reader         [2]string
	source, sourceHere     string
	target, targetHere     string
}

// setting is an environment variable; one without a fallback must be set.
type setting struct {
	name, help string
	into       *string
	fallback   *string
}

// settings are all of them. A fallback stands before what falls back to it.
func (c *current) settings() []setting {
	region := "us-east-1"
	return []setting{
		{"LIFEBOAT_E2E_IMAGE", "the operator's image as the cluster pulls it, repository:tag", &c.image, nil},
		{"LIFEBOAT_E2E_S3_ENDPOINT", "URL of the S3 store as pods reach it", &c.endpoint, nil},
		{"LIFEBOAT_E2E_S3_BUCKET", "a bucket of it", &c.bucket, nil},
		{"LIFEBOAT_E2E_S3_ACCESS_KEY", "a key that may list, read, write and delete in the bucket", &c.writer[0], nil},
		{"LIFEBOAT_E2E_S3_SECRET_KEY", "its secret", &c.writer[1], nil},
		{"LIFEBOAT_E2E_INFLUX_SOURCE", "URL of an InfluxDB 1.x without a login as pods reach it", &c.source, nil},
		{"LIFEBOAT_E2E_INFLUX_TARGET", "URL of another one", &c.target, nil},
		{"LIFEBOAT_E2E_S3_REGION", "", &c.region, &region},
		{"LIFEBOAT_E2E_S3_READ_ACCESS_KEY", "", &c.reader[0], &c.writer[0]},
		{"LIFEBOAT_E2E_S3_READ_SECRET_KEY", "", &c.reader[1], &c.writer[1]},
		{"LIFEBOAT_E2E_S3_ENDPOINT_HERE", "", &c.endpointHere, &c.endpoint},
		{"LIFEBOAT_E2E_INFLUX_SOURCE_HERE", "", &c.sourceHere, &c.source},
		{"LIFEBOAT_E2E_INFLUX_TARGET_HERE", "", &c.targetHere, &c.target},
	}
}

// read takes the settings from the environment, and names all that are missing at once.
func (c *current) read(getenv func(string) string) error {
	var missing []string
	for _, setting := range c.settings() {
		*setting.into = getenv(setting.name)
		if *setting.into != "" {
			continue
		}
		if setting.fallback == nil {
			missing = append(missing, fmt.Sprintf("\n  %-28s %s", setting.name, setting.help))
			continue
		}
		*setting.into = *setting.fallback
	}
	if len(missing) > 0 {
		return fmt.Errorf("CLUSTER=current needs these environment variables too (docs/testing.md):%s", strings.Join(missing, ""))
	}
	if c.source == c.target {
		return errors.New("LIFEBOAT_E2E_INFLUX_SOURCE and LIFEBOAT_E2E_INFLUX_TARGET are one server; Lifeboat refuses to restore onto the source")
	}
	if repository, tag := c.repositoryAndTag(); repository == "" || tag == "" {
		return fmt.Errorf("LIFEBOAT_E2E_IMAGE is %q; write repository:tag", c.image)
	}
	return nil
}

// repositoryAndTag are cut at the last colon: one before the last slash is a registry's port.
func (c *current) repositoryAndTag() (repository, tag string) {
	at := strings.LastIndex(c.image, ":")
	if at <= strings.LastIndex(c.image, "/") || strings.Contains(c.image, "@") {
		return "", ""
	}
	return c.image[:at], c.image[at+1:]
}

func (c *current) world(root string, kubectl Kubectl) *World {
	standby := kubectl
	standby.Suffix = standbySuffix
	bucket := Bucket{Name: c.bucket, Endpoint: c.endpoint, Region: c.region, AccessKey: c.writer[0], SecretKey: c.writer[1]}
	reader := bucket
	reader.AccessKey, reader.SecretKey = c.reader[0], c.reader[1]
	return &World{
		Root: root, Primary: kubectl, Standby: standby,
		Source: Influx{URL: c.sourceHere}, Target: Influx{URL: c.targetHere},
		SourceURL: c.source, TargetURL: c.target,
		S3: c.endpointHere, bucket: bucket, reader: reader,
	}
}

// openCurrent is the current kubectl context, held fast for the whole run: a person may switch to
// another meanwhile.
func openCurrent(ctx context.Context, root string) (*World, error) {
	var c current
	if err := c.read(os.Getenv); err != nil {
		return nil, err
	}
	for _, program := range []string{"kubectl", "helm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("CLUSTER=current needs %s in PATH: %w", program, err)
		}
	}
	dir, err := os.MkdirTemp("", "lifeboat-current-")
	if err != nil {
		return nil, err
	}
	kubectl := Kubectl{Binary: "kubectl", Kubeconfig: filepath.Join(dir, "kubeconfig")}
	w := c.world(root, kubectl)
	w.closing = append(w.closing, func(context.Context) error { return os.RemoveAll(dir) })
	if err := w.adopt(ctx, &c); err != nil {
		return nil, errors.Join(err, w.Close(ctx))
	}
	return w, nil
}

// adopt holds the context fast, and plans the operator's release.
func (w *World) adopt(ctx context.Context, c *current) error {
	config, err := Kubectl{Binary: w.Primary.Binary, Kubeconfig: os.Getenv("KUBECONFIG")}.Run(ctx, "", "config", "view", "--minify", "--flatten", "--raw")
	if err != nil {
		return fmt.Errorf("read the current kubectl context: %w", err)
	}
	if err := os.WriteFile(w.Primary.Kubeconfig, []byte(config), 0o600); err != nil {
		return err
	}
	known, err := w.Primary.Get(ctx, "", "namespace", Namespace)
	if err != nil {
		return err
	}
	isNew := known == nil
	name, err := w.Primary.Run(ctx, "", "get", "deployment", "lifeboat", "--namespace", Namespace, "--ignore-not-found",
		"--output", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="LIFEBOAT_CLUSTER_NAME")].value}`)
	if err != nil {
		return err
	}
	if name != "" && name != ClusterName {
		return fmt.Errorf("the current context has a Lifeboat of the cluster %q; tests would spoil it, use another cluster", name)
	}
	repository, tag := c.repositoryAndTag()
	helm := Helm{Binary: "helm", Kubeconfig: w.Primary.Kubeconfig}
	w.operators = []operator{{helm, Release{
		ClusterName: ClusterName, Repository: repository, Tag: tag, Content: "current", DropDefinitions: isNew,
	}}}
	if isNew {
		remove := func(ctx context.Context) error {
			err := helm.Uninstall(ctx)
			_, gone := w.Primary.Run(ctx, "", "delete", "namespace", Namespace, "--ignore-not-found")
			return errors.Join(err, gone)
		}
		w.closing = append([]func(context.Context) error{remove}, w.closing...)
	}
	return nil
}
