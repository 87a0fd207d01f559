package hosts

import (
	"os"
	"testing"

	"lifeboat.dev/e2e/bed/layout"
)

func TestNamesCanBeSetChangedAndRemoved(t *testing.T) {
	dirs := layout.Dirs{Home: t.TempDir()}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return Set(dirs, "a", "10.0.0.1") }, "10.0.0.1 a.lifeboat.test\n"},
		{func() error { return Set(dirs, "b", "10.0.0.2") }, "10.0.0.1 a.lifeboat.test\n10.0.0.2 b.lifeboat.test\n"},
		{func() error { return Set(dirs, "a", "10.0.0.3") }, "10.0.0.2 b.lifeboat.test\n10.0.0.3 a.lifeboat.test\n"},
		{func() error { return Remove(dirs, "b") }, "10.0.0.3 a.lifeboat.test\n"},
		{func() error { return Remove(dirs, "b") }, "10.0.0.3 a.lifeboat.test\n"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(dirs.Run("hosts"))
		if err != nil || string(got) != step.want {
			t.Fatalf("got %q, error %v; want %q", got, err, step.want)
		}
	}
}
