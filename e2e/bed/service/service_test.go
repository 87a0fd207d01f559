package service

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lifeboat.dev/e2e/bed/layout"
)

// A stale file must never lead to a stranger being taken for the service, and killed.
func TestAProcessIdUsedAgainIsNotTheService(t *testing.T) {
	dirs := layout.Dirs{Home: t.TempDir()}
	started, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		record record
		want   int
	}{
		{record{Pid: os.Getpid(), StartTime: started}, os.Getpid()},
		{record{Pid: os.Getpid(), StartTime: "1" + started}, 0},
		{record{Pid: 1 << 30, StartTime: started}, 0},
	} {
		data, err := json.Marshal(test.record)
		if err != nil {
			t.Fatal(err)
		}
		path := file(dirs, "group", "name")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Pid(dirs, "group", "name"); got != test.want {
			t.Errorf("%+v: got %d, want %d", test.record, got, test.want)
		}
	}
}
