package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
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

// A schedule with windows, a standing replay and a drill, against stand-ins.
func TestCnosdbLoop(t *testing.T) {
	p := newPlace(t)
	source, target := startCnosdb(t), startCnosdb(t)
	source.sql("CREATE DATABASE telemetry WITH TTL '36500d' SHARD 1 PRECISION 'ns'")
	source.sql("CREATE TABLE empty_table (v DOUBLE, TAGS(t))")
	source.write(25_000)
	login := "credentials: {secretRef: {name: cnosdb-login}}"
	system := engine{
		source:    fmt.Sprintf("{cnosdb: {url: %q, %s, tenants: [{name: cnosdb, databases: [{name: telemetry}]}], incremental: {overlap: 1m, fullEvery: 1h}}}", source.url, login),
		target:    fmt.Sprintf("{cnosdb: {url: %q, %s}}", target.url, login),
		targetURL: target.url,
		secrets: `apiVersion: v1
kind: Secret
metadata: {name: cnosdb-login}
stringData: {username: lifeboat, password: let-me-in}
`,
		verify: "Contains", drillVerify: "Contains",
	}
	p.schedule(system)
	p.standby(system)
	p.awaitReplays(2)
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
