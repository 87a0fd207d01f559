package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
	"lifeboat.dev/e2e/standin/cnosdb"
)

// cnosdbServer is a stand-in that pods reach, and the test speaks to without Lifeboat.
type cnosdbServer struct {
	*testing.T
	url string
}

func startCnosdb(t *testing.T) cnosdbServer {
	t.Helper()
	listener, err := net.Listen("tcp", layout.HostAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server := cnosdb.New()
	server.AddUser("lifeboat", "let-me-in")
	go func() { _ = server.Serve(listener) }()
	return cnosdbServer{t, "http://" + listener.Addr().String()}
}

func (s cnosdbServer) post(path, body string) string {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	request.SetBasicAuth("root", "")
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.Fatalf("%s: %d %s %v", body, answer.StatusCode, text, err)
	}
	return string(text)
}

func (s cnosdbServer) sql(statement string) string {
	return s.post("/api/v1/sql?tenant=cnosdb&db=telemetry", statement)
}

// write makes rows that no other call makes, ending now.
func (s cnosdbServer) write(rows int) {
	s.Helper()
	var lines strings.Builder
	now := time.Now()
	for at := range rows {
		fmt.Fprintf(&lines, "air,station=S%d,region=eu\\ west n=%di,u=%du,v=%d.25,ok=true,s=\"it's \\\"é\\\" %d\" %d\n",
			at%7, at, at, at, at, now.Add(-time.Duration(at)*time.Millisecond).UnixNano())
	}
	s.post("/api/v1/write?tenant=cnosdb&db=telemetry&precision=ns", lines.String())
}

// cnosdbWriter writes numbered rows while exports run, and keeps account of what was acknowledged.
type cnosdbWriter struct {
	url   string
	mutex sync.Mutex
	acks  []kit.Ack
}

// follow writes a batch of rows each interval at their own time, until the context ends.
func (w *cnosdbWriter) follow(ctx context.Context, interval time.Duration, batch int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for first := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var lines strings.Builder
		for n := first; n < first+batch; n++ {
			fmt.Fprintf(&lines, "live,device=d%d n=%di,note=\"row %d\" %d\n", n%50, n, n, time.Now().UnixNano())
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/api/v1/write?tenant=cnosdb&db=telemetry&precision=ns", strings.NewReader(lines.String()))
		if err != nil {
			return
		}
		request.SetBasicAuth("root", "")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			continue
		}
		w.mutex.Lock()
		w.acks = append(w.acks, kit.Ack{First: first, Next: first + batch, At: time.Now()})
		w.mutex.Unlock()
		first += batch
	}
}

// ackedBefore is the number of rows that were acknowledged before a time.
func (w *cnosdbWriter) ackedBefore(at time.Time) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	count := 0
	for _, ack := range w.acks {
		if ack.At.Before(at) {
			count = max(count, ack.Next)
		}
	}
	return count
}

// hasLive fails unless the rows [0, must) are there as they were written.
func (s cnosdbServer) hasLive(must int) {
	s.Helper()
	var rows []struct {
		N    int
		Note string
	}
	if err := json.Unmarshal([]byte(s.sql("SELECT n, note FROM live")), &rows); err != nil {
		s.Fatal(err)
	}
	seen := make([]bool, must)
	for _, row := range rows {
		if row.Note != fmt.Sprintf("row %d", row.N) {
			s.Errorf("row %d says %q", row.N, row.Note)
		}
		if row.N < must {
			seen[row.N] = true
		}
	}
	for n, there := range seen {
		if !there {
			s.Fatalf("row %d of %d acknowledged ones is not in the standby", n, must)
		}
	}
}

// proveLive compares the standby with what was acknowledged before the time that it claims.
func (p *place) proveLive(writer *cnosdbWriter, target cnosdbServer, atLeast int) {
	p.Helper()
	standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
	p.must(err)
	must := writer.ackedBefore(standby.Time("status", "lastConsistencyTime"))
	if must < atLeast {
		p.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
	}
	target.hasLive(must)
	p.Logf("%d rows had to be there", must)
}

// A schedule whose files the server writes into the bucket by itself, a standing replay that the other
// server reads there, and a drill, while somebody writes.
func TestCnosdbCopyInto(t *testing.T) {
	p := newPlace(t)
	// The servers are on this machine, which knows the store by its address only.
	p.bucket.Endpoint, p.reader.Endpoint = p.S3, p.S3
	source, target := startCnosdb(t), startCnosdb(t)
	source.sql("CREATE DATABASE telemetry WITH TTL '36500d' SHARD 1 PRECISION 'ns'")
	source.sql("CREATE TABLE empty_table (v DOUBLE, TAGS(t))")
	source.write(2_000)
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	writer := &cnosdbWriter{url: source.url}
	go writer.follow(writing, 100*time.Millisecond, 20)
	login := "credentials: {secretRef: {name: cnosdb-login}}"
	system := engine{
		source:    fmt.Sprintf("{cnosdb: {url: %q, %s, method: copyInto, tenants: [{name: cnosdb, databases: [{name: telemetry}]}]}}", source.url, login),
		target:    fmt.Sprintf("{cnosdb: {url: %q, %s}}", target.url, login),
		targetURL: target.url,
		secrets:   cnosdbLogin,
		verify:    "Counts", drillVerify: "Counts",
	}
	p.schedule(system)
	p.standby(system)
	p.awaitReplays(3)
	p.proveLive(writer, target, 100)
	if got, want := target.sql("SELECT * FROM air"), source.sql("SELECT * FROM air"); got != want {
		t.Error("the rows of air differ")
	}
	if got := target.sql("SHOW TABLES"); got != source.sql("SHOW TABLES") {
		t.Errorf("the tables are %s", got)
	}
	if files := p.storedFiles("", "-0"); len(files) == 0 {
		t.Error("the server wrote no files into the bucket")
	}
	p.drill(system)
}

const cnosdbLogin = `apiVersion: v1
kind: Secret
metadata: {name: cnosdb-login}
stringData: {username: lifeboat, password: let-me-in}
`

// A schedule with windows, a standing replay and a drill, against stand-ins, while somebody writes.
func TestCnosdbLoop(t *testing.T) {
	p := newPlace(t)
	source, target := startCnosdb(t), startCnosdb(t)
	source.sql("CREATE DATABASE telemetry WITH TTL '36500d' SHARD 1 PRECISION 'ns'")
	source.sql("CREATE TABLE empty_table (v DOUBLE, TAGS(t))")
	source.write(25_000)
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	writer := &cnosdbWriter{url: source.url}
	go writer.follow(writing, 100*time.Millisecond, 20)
	login := "credentials: {secretRef: {name: cnosdb-login}}"
	system := engine{
		source:    fmt.Sprintf("{cnosdb: {url: %q, %s, tenants: [{name: cnosdb, databases: [{name: telemetry}]}], incremental: {overlap: 1m, fullEvery: 1h}}}", source.url, login),
		target:    fmt.Sprintf("{cnosdb: {url: %q, %s}}", target.url, login),
		targetURL: target.url,
		secrets:   cnosdbLogin,
		verify:    "Contains", drillVerify: "Contains",
	}
	p.schedule(system)
	p.standby(system)
	p.awaitReplays(3)
	p.proveLive(writer, target, 100)
	source.write(500)
	want := source.sql("SELECT * FROM air")
	p.must(kit.Await(p.ctx, "the standby has what was written since", 2*time.Minute, func() (bool, string, error) {
		return target.sql("SELECT * FROM air") == want, "rows differ", nil
	}))
	if got, want := target.sql("DESCRIBE DATABASE telemetry"), source.sql("DESCRIBE DATABASE telemetry"); got != want {
		t.Errorf("the database is %s, the source's %s", got, want)
	}
	if got := target.sql("SHOW TABLES"); got != source.sql("SHOW TABLES") {
		t.Errorf("the tables are %s", got)
	}
	p.drill(system)
	p.must(kit.Await(p.ctx, "the drill's databases are gone", time.Minute, func() (bool, string, error) {
		left := target.sql("SHOW DATABASES")
		return strings.Count(left, "telemetry") == 1, left, nil
	}))
}
