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
	var written strings.Builder
	for _, name := range []string{"controller", "leases", "people"} {
		text, err := os.ReadFile(filepath.Join(root, "config", "rbac", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		written.WriteString("---\n" + string(text))
	}
	chart, kustomize := rights(t, render(t)), rights(t, written.String())
	if len(chart) != 4 {
		t.Errorf("roles of the chart: %d", len(chart))
	}
	if !reflect.DeepEqual(chart, kustomize) {
		t.Errorf("the rights differ\nchart:     %v\nkustomize: %v", chart, kustomize)
	}
}

// The chart brings the definitions where they are wanted, and leaves them behind where they are
// to be kept.
func TestChartDefinitions(t *testing.T) {
	for _, test := range []struct {
		name, values  string
		bring, leaves int
	}{
		{"as it comes", "logLevel=info", 5, 5},
		{"not wanted", "crds.enabled=false", 0, 0},
		{"not kept", "crds.keep=false", 5, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := render(t, test.values)
			if got := strings.Count(out, "\nkind: CustomResourceDefinition\n"); got != test.bring {
				t.Errorf("definitions: %d, wanted %d", got, test.bring)
			}
			if got := strings.Count(out, "helm.sh/resource-policy: keep"); got != test.leaves {
				t.Errorf("definitions that are kept: %d, wanted %d", got, test.leaves)
			}
			if test.bring == 0 {
				return
			}
			if _, err := kubectl.Run(t.Context(), definitions(out), "apply", "--dry-run=server", "-f", "-"); err != nil {
				t.Error(err)
			}
		})
	}
}

// render is the chart with values as `--set` takes them.
func render(t *testing.T, values ...string) string {
	t.Helper()
	dirs, err := layout.Find()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), dirs.Bin("helm"), "template", "lifeboat", filepath.Join(root, "charts", "lifeboat"),
		"--kube-version", "1.34.0", "--set", strings.Join(append(values, "clusterName=prod"), ","))
	var errs strings.Builder
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		t.Fatalf("helm template: %v: %s", err, errs.String())
	}
	return string(out)
}

// definitions are those documents of a stream that are definitions.
func definitions(stream string) string {
	var kept []string
	for document := range strings.SplitSeq("\n"+stream, "\n---") {
		if strings.Contains(document, "\nkind: CustomResourceDefinition\n") {
			kept = append(kept, document)
		}
	}
	return strings.Join(kept, "\n---")
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
