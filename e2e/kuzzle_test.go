package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/elastic"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// The loop on real Elasticsearch servers: a schedule, a standing replay, a drill, and the proof by
// queries of its own.
func TestKuzzleLoop(t *testing.T) {
	needsBed(t, "starts databases on an address of this machine that pods reach")
	p := newPlace(t)
	a, b := p.elastic()
	collection := &kit.Collection{Elastic: a, Index: "&" + p.namespace + ".measures"}
	p.must(collection.Make(p.ctx))
	for first := 0; first < 20_000; first += 5000 {
		p.must(collection.Write(p.ctx, first, first+5000))
	}
	users := []string{"%kuzzle.users", "%plugin-local.users", "&" + p.namespace + ".empty"}
	for _, index := range users {
		p.must(a.Do(p.ctx, http.MethodPut, url.PathEscape(index), fmt.Sprintf(`{"aliases":{%q:{}}}`, "@"+index), nil))
	}
	p.must(a.Do(p.ctx, http.MethodPut, url.PathEscape(users[0])+"/_doc/admin", `{"profileIds": ["admin"]}`, nil))
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	go collection.Follow(writing, 20_000, 200*time.Millisecond, 100)

	e := engine{
		source:    fmt.Sprintf("{kuzzle: {elasticsearch: {url: %q}}}", a.URL),
		target:    fmt.Sprintf("{kuzzle: {elasticsearch: {url: %q}}}", b.URL),
		targetURL: b.URL, verify: "Contains", drillVerify: "Equal",
	}
	p.schedule(e)
	p.standby(e)
	p.awaitReplays(3)
	standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
	p.must(err)
	must := collection.AckedBefore(standby.Time("status", "lastConsistencyTime"))
	if must < 20_000 {
		t.Fatalf("only %d documents were acknowledged before the claimed consistencyTime", must)
	}
	documents, err := collection.Compare(p.ctx, b, must)
	p.must(err)
	t.Logf("%d documents are equal, %d had to be there", documents, must)
	var alias map[string]any
	p.must(b.Do(p.ctx, http.MethodGet, "_alias/"+url.PathEscape("@"+users[0]), "", &alias))
	p.must(b.Do(p.ctx, http.MethodGet, url.PathEscape("@"+users[0])+"/_doc/admin", "", nil))

	before, err := b.Indices(p.ctx, "")
	p.must(err)
	p.drill(e)
	p.must(kit.Await(p.ctx, "the drill's indices are gone", time.Minute, func() (bool, string, error) {
		now, err := b.Indices(p.ctx, "")
		slices.Sort(before)
		slices.Sort(now)
		return err == nil && slices.Equal(before, now), fmt.Sprint(now), err
	}))
}

// elastic starts two servers that pods reach, for this test alone.
func (p *place) elastic() (a, b kit.Elastic) {
	p.Helper()
	directory := elastic.Directory(p.Dirs)
	p.must(elastic.Build(directory, func(what, directory string, argv ...string) error {
		p.Log(what)
		command := exec.CommandContext(p.ctx, argv[0], argv[1:]...)
		command.Dir, command.Stderr = directory, os.Stderr
		return command.Run()
	}))
	started := time.Now()
	servers, err := elastic.StartAll(p.ctx, directory, layout.HostAddress, 2)
	p.must(err)
	for _, server := range servers {
		p.Cleanup(server.Stop)
	}
	p.Logf("two Elasticsearch servers came up in %s", time.Since(started).Round(time.Second))
	return kit.Elastic{URL: servers[0].URL}, kit.Elastic{URL: servers[1].URL}
}
