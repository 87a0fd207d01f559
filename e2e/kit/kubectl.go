// Package kit is what the demo and the end-to-end tests share: kubectl, helm, InfluxDB over HTTP,
// and a writer that keeps account of what was acknowledged. Nothing in it is Lifeboat's own code.
package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Kubectl talks to one cluster.
type Kubectl struct {
	Binary     string
	Kubeconfig string
	// Suffix tells this side's namespaces from the other's where both are one cluster.
	Suffix string
}

// Namespace is what a namespace of both sides is called on this one.
func (k Kubectl) Namespace(name string) string { return name + k.Suffix }

// Run calls kubectl and returns what it printed.
func (k Kubectl) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, k.Binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+k.Kubeconfig)
	if stdin != "" {
		command.Stdin = strings.NewReader(stdin)
	}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Apply applies manifests.
func (k Kubectl) Apply(ctx context.Context, manifests string) error {
	_, err := k.Run(ctx, manifests, "apply", "-f", "-")
	return err
}

// Object is a Kubernetes object as it came.
type Object map[string]any

// Get reads one object; nil where there is none.
func (k Kubectl) Get(ctx context.Context, namespace, kind, name string) (Object, error) {
	out, err := k.Run(ctx, "", "get", kind, name, "--namespace", namespace, "--ignore-not-found", "--output", "json")
	if err != nil || strings.TrimSpace(out) == "" {
		return nil, err
	}
	var object Object
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return object, nil
}

// List reads all objects of a kind.
func (k Kubectl) List(ctx context.Context, namespace, kind string, args ...string) ([]Object, error) {
	out, err := k.Run(ctx, "", append([]string{"get", kind, "--namespace", namespace, "--output", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []Object }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", kind, err)
	}
	return list.Items, nil
}

// Path walks down an object; nil where a step is missing.
func (o Object) Path(steps ...string) any {
	var at any = map[string]any(o)
	for _, step := range steps {
		next, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = next[step]
	}
	return at
}

// Text is the string at a path; empty where there is none.
func (o Object) Text(steps ...string) string {
	text, _ := o.Path(steps...).(string)
	return text
}

// Number is the number at a path; 0 where there is none.
func (o Object) Number(steps ...string) float64 {
	number, _ := o.Path(steps...).(float64)
	return number
}

// Time is the time at a path; zero where there is none.
func (o Object) Time(steps ...string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, o.Text(steps...))
	return at
}

// Name is the object's name.
func (o Object) Name() string { return o.Text("metadata", "name") }

// Condition is a condition of an object's status.
type Condition struct {
	Status, Reason, Message string
	// Since is when the status was last another.
	Since time.Time
}

// Condition is the condition of a type; empty where there is none.
func (o Object) Condition(kind string) Condition {
	list, _ := o.Path("status", "conditions").([]any)
	for _, entry := range list {
		condition := Object(asMap(entry))
		if condition.Text("type") == kind {
			return Condition{condition.Text("status"), condition.Text("reason"), condition.Text("message"), condition.Time("lastTransitionTime")}
		}
	}
	return Condition{}
}

func asMap(value any) map[string]any {
	object, _ := value.(map[string]any)
	return object
}
