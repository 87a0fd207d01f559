package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
	"lifeboat.dev/e2e/standin/rethinkdb"
)

// The functions of an index and of a write hook, as a real server gave them.
const (
	rethinkdbIndex = "JHJlcWxfaW5kZXhfZnVuY3Rpb24kCQcHBwAAAAAAAAEBAAAAAAAAAEgAAABbMTcwLFtbMTcwLFtbMTAsW1sxLDEsMTJdXSwxMV0sWzEsImN1c3RvbWVyIiwxM11dLDEwXSxbMSwibmFtZSIsMTRdXSw5XQAJAAAAAAA="
	rethinkdbHook  = "JHJlcWxfd3JpdGVfaG9va19mdW5jdGlvbiQAAAAAAAADAwAAAAAAAAAEAAAAAAAAAAUAAAAAAAAAOwAAAFszNSxbWzEwLFtbMSw1LDEyXV0sMTFdLFszLHsiaG9va2VkIjpbMSx0cnVlLDE0XX0sMTNdXSwxMF0ACgAAAA=="
)

// rethinkdbCluster is a stand-in in this process that pods can reach.
type rethinkdbCluster struct {
	*place
	server *rethinkdb.Server
	url    string
}

func (p *place) rethinkdb() rethinkdbCluster {
	p.Helper()
	listener := p.listen()
	cluster := rethinkdbCluster{p, rethinkdb.New("s1", "s2", "s3"), "rethinkdb://" + listener.Addr().String()}
	go cluster.server.Serve(listener)
	cluster.run(`[56,[[15,[[14,["rethinkdb"]],"users"]],{"id":"admin","password":"the-password"}]]`)
	return cluster
}

func (c rethinkdbCluster) run(term string) any {
	c.Helper()
	value, err := c.server.Run(term)
	c.must(err)
	return value
}

// write inserts rows with the numbers from one to below the other.
func (c rethinkdbCluster) write(from, to int) {
	c.Helper()
	c.run(c.insert(from, to))
}

// insert is the term that does.
func (c rethinkdbCluster) insert(from, to int) string {
	rows := make([]string, 0, to-from)
	for n := from; n < to; n++ {
		rows = append(rows, fmt.Sprintf(`{"id":[2,[%d,"order"]],"customer":{"name":"Zoë %d"},"hooked":true,"at":{"$reql_type$":"TIME","epoch_time":1700000000.5,"timezone":"+01:00"}}`, n, n))
	}
	return `[56,[[15,[[14,["shop"]],"orders"]],[2,[` + strings.Join(rows, ",") + `]]]]`
}

// picture is all that the cluster has under a name.
func (c rethinkdbCluster) picture(database string) string {
	table := fmt.Sprintf(`[15,[[14,[%q]],"orders"]]`, database)
	var all []any
	for _, term := range []string{`[41,[` + table + `],{"index":"id"}]`, `[140,[` + table + `]]`, `[190,[` + table + `]]`} {
		value, err := c.server.Run(term)
		if err != nil {
			return err.Error()
		}
		all = append(all, value)
	}
	text, _ := json.Marshal(all)
	return string(text)
}

// A standby follows its source, row by row, with index and write hook; a drill leaves nothing behind.
// The clusters are stand-ins.
func TestRethinkdbStandbyAndDrill(t *testing.T) {
	p := newPlace(t)
	source, target := p.rethinkdb(), p.rethinkdb()
	source.run(`[57,["shop"]]`)
	source.run(`[60,[[14,["shop"]],"orders"],{"replicas":2}]`)
	orders := `[15,[[14,["shop"]],"orders"]]`
	source.run(fmt.Sprintf(`[75,[%s,"by_name",{"$reql_type$":"BINARY","data":%q}]]`, orders, rethinkdbIndex))
	source.run(fmt.Sprintf(`[189,[%s,{"$reql_type$":"BINARY","data":%q}]]`, orders, rethinkdbHook))
	source.write(0, 5000)

	spec := func(url, more string) string {
		return fmt.Sprintf(`{rethinkdb: {url: %q, credentials: {secretRef: {name: rethinkdb-login}}%s}}`, url, more)
	}
	e := engine{
		source: spec(source.url, ", databases: [{name: shop}]"), target: spec(target.url, ", shardsAndReplicas: true"), targetURL: target.url,
		secrets: "apiVersion: v1\nkind: Secret\nmetadata: {name: rethinkdb-login}\nstringData: {password: the-password}\n",
		verify:  "Contains", drillVerify: "Equal",
	}
	p.schedule(e)
	p.standby(e)
	p.awaitReplays(1)
	source.write(5000, 6000)
	want := source.picture("shop")
	p.must(kit.Await(p.ctx, "the standby has what the source has", 2*time.Minute, func() (bool, string, error) {
		got := target.picture("shop")
		return got == want, fmt.Sprintf("%d bytes instead of %d", len(got), len(want)), nil
	}))

	p.drill(e)
	p.must(kit.Await(p.ctx, "the drill's databases are gone", time.Minute, func() (bool, string, error) {
		names := fmt.Sprint(target.run(`[59,[]]`))
		return !strings.Contains(names, "_shop"), names, nil
	}))
	restores, err := p.Standby.List(p.ctx, p.namespace, "restores")
	p.must(err)
	for _, restore := range restores {
		if failed := restore.Condition("Failed"); failed.Status == "True" {
			t.Errorf("%s failed: %s: %s", restore.Name(), failed.Reason, failed.Message)
		}
	}
}

// While exports and replays run, a writer logs what the source acknowledged: what was acknowledged
// before the time that the standby claims is there, row by row. What the source deletes goes at the
// standby too. The clusters are stand-ins.
func TestRethinkdbLiveAndMirror(t *testing.T) {
	p := newPlace(t)
	source, target := p.rethinkdb(), p.rethinkdb()
	source.run(`[57,["shop"]]`)
	source.run(`[60,[[14,["shop"]],"orders"]]`)
	const history = 3000
	source.write(0, history)
	var account kit.Account
	account.Acked(0, history)
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	go kit.Follow(writing, history, 50*time.Millisecond, 20, func(first, next int) error {
		if _, err := source.server.Run(source.insert(first, next)); err != nil {
			return err
		}
		account.Acked(first, next)
		return nil
	})

	spec := func(url, more string) string {
		return fmt.Sprintf(`{rethinkdb: {url: %q, credentials: {secretRef: {name: rethinkdb-login}}%s}}`, url, more)
	}
	e := engine{
		// Small ranges, so that several connections read the table while it is written.
		source: spec(source.url, ", databases: [{name: shop}], rangeRows: 500"), target: spec(target.url, ""), targetURL: target.url,
		secrets: "apiVersion: v1\nkind: Secret\nmetadata: {name: rethinkdb-login}\nstringData: {password: the-password}\n",
		verify:  "Contains", deletions: "Mirror",
	}
	p.schedule(e)
	p.standby(e)
	for replays := 1; replays <= 3; replays++ {
		p.awaitReplays(replays)
		standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
		p.must(err)
		must := account.AckedBefore(standby.Time("status", "lastConsistencyTime"))
		if must < history {
			t.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
		}
		target.holds(must)
	}

	stop()
	source.run(`[54,[[182,[[15,[[14,["shop"]],"orders"]],[2,[100]],[2,[2000]]]]]]`)
	want := source.picture("shop")
	p.must(kit.Await(p.ctx, "the standby has what the source has, and nothing else", 2*time.Minute, func() (bool, string, error) {
		got := target.picture("shop")
		return got == want, fmt.Sprintf("%d bytes instead of %d", len(got), len(want)), nil
	}))
}

// holds checks that the cluster has the rows up to below a number.
func (c rethinkdbCluster) holds(must int) {
	c.Helper()
	rows, _ := c.run(`[15,[[14,["shop"]],"orders"]]`).([]any)
	there := make(map[int]bool, len(rows))
	for _, row := range rows {
		key, _ := row.(map[string]any)["id"].([]any)
		number, _ := key[0].(float64)
		there[int(number)] = true
	}
	for n := range must {
		if !there[n] {
			c.Fatalf("row %d of %d that were acknowledged is not in the standby", n, must)
		}
	}
}
