package e2e

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
	"lifeboat.dev/e2e/standin/emqx"
)

// A schedule and a standing replay between two stand-ins for EMQX, on the real clusters.
func TestEmqxLoop(t *testing.T) {
	needsBed(t, "serves the stand-ins from this machine")
	p := newPlace(t)
	source, sourceURL := p.emqx()
	target, targetURL := p.emqx()
	source.Load()
	e := engine{
		source:    fmt.Sprintf("{emqx: {url: %q, credentials: {secretRef: {name: emqx-key}}}}", sourceURL),
		target:    fmt.Sprintf("{emqx: {url: %q, credentials: {secretRef: {name: emqx-key}}}}", targetURL),
		targetURL: targetURL,
		secrets: fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: emqx-key}
stringData: {username: %s, password: %s}
`, emqx.Key, emqx.Secret),
		verify: "Counts",
	}
	p.schedule(e)
	p.standby(e)
	p.awaitReplays(1)

	// What comes to the source comes to the standby, and what the standby has of its own stays.
	target.AddUser("of-the-standby")
	for n := range 20 {
		source.AddUser(fmt.Sprint("later-", n))
	}
	expected := source.Rows()
	expected["emqx_authn_mnesia"]++
	expected["emqx_app"], expected["emqx_admin"] = 0, 0
	p.must(kit.Await(p.ctx, "all users", 2*time.Minute, func() (bool, string, error) {
		return reflect.DeepEqual(target.Rows(), expected), fmt.Sprint(target.Rows()), nil
	}))
	p.awaitReplays(3)

	p.emqxLive(source, target)

	// Nobody leaves archives behind: each is there only while it is moved.
	for _, server := range []*emqx.Server{source, target} {
		p.must(kit.Await(p.ctx, "a moment without archives", time.Minute, func() (bool, string, error) {
			return len(server.Files()) == 0, fmt.Sprint(server.Files()), nil
		}))
	}
	if archives := p.storedFiles("", ".tar.gz"); len(archives) < 3 {
		t.Fatalf("the bucket has %d archives under their own names", len(archives))
	}
	p.emqxDrillIsRefused(e)
}

// emqxLive writes users while exports and replays run, and checks that those that were there before the
// time that the standby claims are in it.
func (p *place) emqxLive(source, target *emqx.Server) {
	p.Helper()
	var account kit.Account
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	go kit.Follow(writing, 0, 50*time.Millisecond, 1, func(first, next int) error {
		source.AddUser(fmt.Sprint("live-", first))
		account.Acked(first, next)
		return nil
	})
	checked := 0
	p.must(kit.Await(p.ctx, "200 users that were written while exports ran", 3*time.Minute, func() (bool, string, error) {
		standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
		if err != nil {
			return false, "", err
		}
		must := account.AckedBefore(standby.Time("status", "lastConsistencyTime"))
		for ; checked < must; checked++ {
			if !target.HasUser(fmt.Sprint("live-", checked)) {
				p.Fatalf("user %d of %d that were there before is not in the standby", checked, must)
			}
		}
		return must >= 200, fmt.Sprint(must), nil
	}))
}

// emqx starts a stand-in that pods reach.
func (p *place) emqx() (*emqx.Server, string) {
	p.Helper()
	listener := p.listen()
	server := emqx.New()
	go func() { _ = server.Serve(listener) }()
	return server, "http://" + listener.Addr().String()
}

func (p *place) emqxDrillIsRefused(e engine) {
	p.Helper()
	err := p.Standby.Apply(p.ctx, fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: RestoreSchedule
metadata: {name: drill, namespace: %s}
spec:
  mode: Drill
  every: 10s
  source: {storage: {name: dr-bucket}, cluster: primary, namespace: %s, schedule: telemetry}
  template: {spec: {target: %s}}
`, p.standbyNamespace, p.namespace, e.target))
	if err == nil || !strings.Contains(err.Error(), "EMQX has no databases or other names that a drill could have to itself") {
		p.Fatalf("a drill into EMQX: %v", err)
	}
}
