package kit

import (
	"strings"
	"testing"
)

func complete() map[string]string {
	return map[string]string{
		"LIFEBOAT_E2E_IMAGE": "registry:5000/lifeboat:v1", "LIFEBOAT_E2E_S3_ENDPOINT": "http://s3", "LIFEBOAT_E2E_S3_BUCKET": "bucket",
		"LIFEBOAT_E2E_S3_ACCESS_KEY": "key", "LIFEBOAT_E2E_S3_SECRET_KEY": "secret",
		"LIFEBOAT_E2E_INFLUX_SOURCE": "http://a", "LIFEBOAT_E2E_INFLUX_TARGET": "http://b",
	}
}

// What can be left out falls back to what can't.
func TestCurrentSettings(t *testing.T) {
	values := complete()
	values["LIFEBOAT_E2E_INFLUX_TARGET_HERE"] = "http://localhost:8086"
	var c current
	if err := c.read(func(name string) string { return values[name] }); err != nil {
		t.Fatal(err)
	}
	w := c.world("/root", Kubectl{})
	repository, tag := c.repositoryAndTag()
	for got, want := range map[string]string{
		repository: "registry:5000/lifeboat", tag: "v1",
		w.Source.URL: "http://a", w.Target.URL: "http://localhost:8086", w.TargetURL: "http://b", w.S3: "http://s3",
		w.Reader("p").SecretKey: "secret", w.Writer("p").Region: "us-east-1", w.Standby.Namespace("iot"): "iot-standby",
	} {
		if got != want {
			t.Errorf("%q and not %q", got, want)
		}
	}
	if len(w.Clusters()) != 1 || w.HasBed() {
		t.Error("one cluster is taken for the test bed")
	}
}

func TestCurrentSettingsRefused(t *testing.T) {
	for _, test := range []struct{ name, value, says string }{
		{"LIFEBOAT_E2E_S3_BUCKET", "", "LIFEBOAT_E2E_S3_BUCKET"},
		{"LIFEBOAT_E2E_INFLUX_TARGET", "http://a", "one server"},
		{"LIFEBOAT_E2E_IMAGE", "registry:5000/lifeboat", "repository:tag"},
		{"LIFEBOAT_E2E_IMAGE", "lifeboat@sha256:0123", "repository:tag"},
	} {
		values := complete()
		values[test.name] = test.value
		err := new(current).read(func(name string) string { return values[name] })
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s=%q: %v", test.name, test.value, err)
		}
	}
	err := new(current).read(func(string) string { return "" })
	if err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("not all that is missing is named: %v", err)
	}
}
