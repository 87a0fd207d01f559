package admission

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"lifeboat.dev/e2e/bed/layout"
)

// The whole operator can be installed with kustomize as it stands.
func TestKustomize(t *testing.T) {
	if _, err := kubectl.Run(t.Context(), "", "apply", "-k", filepath.Join(root, "config", "default")); err != nil {
		t.Fatal(err)
	}
	image, err := kubectl.Run(t.Context(), "", "get", "deployment", "lifeboat", "--namespace", "lifeboat-system",
		"--output", `jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[?(@.name=="LIFEBOAT_IMAGE")].value}`)
	if err != nil {
		t.Fatal(err)
	}
	if own, jobs, _ := strings.Cut(image, " "); own != jobs {
		t.Errorf("the controller runs %s and would start jobs of %s", own, jobs)
	}
}

// The chart and the kustomization grant the same rights.
func TestSameRights(t *testing.T) {
	dirs, err := layout.Find()
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := exec.CommandContext(t.Context(), dirs.Bin("helm"), "template", "lifeboat",
		filepath.Join(root, "charts", "lifeboat"), "--set", "clusterName=prod", "--kube-version", "1.34.0").Output()
	if err != nil {
		t.Fatal(err)
	}
	var written strings.Builder
	for _, name := range []string{"controller", "leases", "people"} {
		text, err := os.ReadFile(filepath.Join(root, "config", "rbac", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		written.WriteString("---\n" + string(text))
	}
	chart, kustomize := rights(t, string(rendered)), rights(t, written.String())
	if len(chart) != 4 {
		t.Errorf("roles of the chart: %d", len(chart))
	}
	if !reflect.DeepEqual(chart, kustomize) {
		t.Errorf("the rights differ\nchart:     %v\nkustomize: %v", chart, kustomize)
	}
}

// rights are the rules of each role in a stream of documents.
func rights(t *testing.T, stream string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for document := range strings.SplitSeq("\n"+stream, "\n---") {
		var role struct {
			Kind     string
			Metadata struct{ Name string }
			Rules    []any
		}
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "Role" || role.Kind == "ClusterRole" {
			found[role.Kind+"/"+role.Metadata.Name] = role.Rules
		}
	}
	return found
}
