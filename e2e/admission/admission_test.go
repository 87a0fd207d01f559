package admission

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// table is one file of testdata.
type table struct {
	Base  map[string]any
	Cases []struct {
		Name    string
		Patch   map[string]any // of the base
		Update  map[string]any // of the object, once it is there; it is what is judged
		Refused string         // a part of the API server's words; empty: it is taken
	}
}

func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			judge(t, file)
		})
	}
}

func judge(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table table
	if err := yaml.UnmarshalStrict(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, test := range table.Cases {
		t.Run(test.Name, func(t *testing.T) {
			object := merge(table.Base, test.Patch)
			if test.Update != nil {
				if _, err := kubectl.Run(t.Context(), document(t, object), "apply", "-f", "-"); err != nil {
					t.Fatalf("the object to update was not taken: %v", err)
				}
				defer func() {
					if _, err := kubectl.Run(t.Context(), document(t, object), "delete", "-f", "-"); err != nil {
						t.Error(err)
					}
				}()
				object = merge(object, test.Update)
			}
			_, err := kubectl.Run(t.Context(), document(t, object), "apply", "--dry-run=server", "-f", "-")
			switch {
			case test.Refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.Refused != "" && err == nil:
				t.Errorf("taken; it should be refused with %q", test.Refused)
			case test.Refused != "" && !strings.Contains(err.Error(), test.Refused):
				t.Errorf("refused with other words: %v\nwanted: %s", err, test.Refused)
			}
		})
	}
}

func document(t *testing.T, object map[string]any) string {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// merge is a JSON merge patch (RFC 7386) that leaves both as they are.
func merge(base, patch map[string]any) map[string]any {
	merged := make(map[string]any, len(base))
	for key, value := range base {
		merged[key] = value
	}
	for key, change := range patch {
		if change == nil {
			delete(merged, key)
			continue
		}
		if deeper, ok := change.(map[string]any); ok {
			below, _ := merged[key].(map[string]any)
			merged[key] = merge(below, deeper)
			continue
		}
		merged[key] = change
	}
	return merged
}

// Every sample is taken as it stands.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, err := kubectl.Run(t.Context(), "", "apply", "--dry-run=server", "-f", file); err != nil {
				t.Error(err)
			}
		})
	}
}
