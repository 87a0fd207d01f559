package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/image"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/postgres"
	"lifeboat.dev/e2e/kit"
)

// countSQL counts every table of a database, as a JSON object; of an empty one it is {}.
const countSQL = `select coalesce(json_object_agg(table_name, (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', table_schema, table_name), false, true, '')))[1]::text::bigint), '{}') from information_schema.tables where table_schema = 'public'`

// vendorImage loads an image of programs of this machine into both clusters.
func (p *place) vendorImage(name string, programs ...string) string {
	p.Helper()
	archive := filepath.Join(p.TempDir(), "image.tar")
	full := "localhost/" + name + ":dev"
	p.must(image.Tools(archive, full, programs...))
	for _, cluster := range layout.Clusters {
		p.must(image.Import(p.ctx, cluster, archive))
	}
	return full
}

// orders are the rows of a table, each of which follows from its number.
type orders struct {
	server *postgres.Server
	mutex  sync.Mutex
	acks   []kit.Ack
}

const orderRow = "n, 'order ' || n || E' \\t \\\\ \" '' ö', n * 1.10, case when n %% 3 = 0 then null else now() end"

// write inserts rows [first, next) in one statement; only acknowledged ones count.
func (o *orders) write(ctx context.Context, first, next int) error {
	insert := fmt.Sprintf("insert into orders select "+orderRow+" from generate_series(%d, %d) n", first, next-1)
	if _, err := o.server.SQL(ctx, "shop", insert); err != nil {
		return err
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.acks = append(o.acks, kit.Ack{First: first, Next: next, At: time.Now()})
	return nil
}

func (o *orders) follow(ctx context.Context, first int) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if o.write(ctx, first, first+50) == nil {
				first += 50
			}
		}
	}
}

// ackedBefore is the number of rows that were acknowledged before a time.
func (o *orders) ackedBefore(at time.Time) (count int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, ack := range o.acks {
		if ack.At.Before(at) {
			count = ack.Next
		}
	}
	return count
}

// The loop on real PostgreSQL servers, by Debian's pg_dump and psql in an image of their own: a
// schedule, a standing replay while rows are written, and each row compared by psql.
func TestCommandPostgresql(t *testing.T) {
	needsBed(t, "starts databases on an address of this machine that pods reach")
	p := newPlace(t)
	programs, err := postgres.Programs()
	p.must(err)
	vendor := p.vendorImage("postgresql-client", filepath.Join(programs, "pg_dump"), filepath.Join(programs, "psql"))
	a, b := p.postgres(), p.postgres()
	for _, server := range []*postgres.Server{a, b} {
		_, err := server.SQL(p.ctx, "postgres", "create database shop")
		p.must(err)
	}
	_, err = a.SQL(p.ctx, "shop", "create table orders (id bigint primary key, note text not null, amount numeric(12, 2), at timestamptz); create table empty (id int); create view big as select * from orders where amount > 100")
	p.must(err)
	written := &orders{server: a}
	p.must(written.write(p.ctx, 0, 20_000))
	writing, stop := context.WithCancel(p.ctx)
	defer stop()
	go written.follow(writing, 20_000)

	name := func(server *postgres.Server) string {
		return fmt.Sprintf("postgresql://%s:%s/shop", server.Host, server.Port)
	}
	// The server is named in the arguments, the login in the environment.
	at := func(server *postgres.Server, argv ...string) string {
		return flow(append(argv, "--host", server.Host, "--port", server.Port, "--dbname", "shop"))
	}
	count := func(server *postgres.Server) string {
		return at(server, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", countSQL)
	}
	p.schedule(engine{
		source: fmt.Sprintf("{command: {name: %q, image: %q, export: {command: %s, from: stdout}, count: {command: %s}}}",
			name(a), vendor, at(a, "pg_dump", "--clean", "--if-exists", "--no-owner"), count(a)),
		job: postgresJob, secrets: postgresSecret,
	})
	p.standby(engine{
		target: fmt.Sprintf("{command: {name: %q, image: %q, import: {command: %s, to: stdin}, count: {command: %s}}}",
			name(b), vendor, at(b, "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction", "--file", "-"), count(b)),
		targetURL: name(b), verify: "Counts", job: postgresJob, secrets: postgresSecret,
	})
	p.awaitReplays(3)
	stop()

	standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
	p.must(err)
	must := written.ackedBefore(standby.Time("status", "lastConsistencyTime"))
	if must < 20_000 {
		t.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
	}
	const all = "select id, note, amount, at from orders order by id"
	source, err := a.SQL(p.ctx, "shop", all)
	p.must(err)
	target, err := b.SQL(p.ctx, "shop", all)
	p.must(err)
	rows := strings.Count(target, "\n")
	if rows < must || !strings.HasPrefix(source, target) {
		t.Fatalf("the standby has %d rows, %d were acknowledged, or they differ", rows, must)
	}
	view, err := b.SQL(p.ctx, "shop", "select count(*) > 0 from big")
	p.must(err)
	if strings.TrimSpace(view) != "t" {
		t.Fatalf("the view is not there: %s", view)
	}
	t.Logf("%d rows are equal, %d had to be there", rows, must)
	p.noSecretIn(postgres.Password)
}

const postgresJob = "{env: [{name: PGUSER, value: " + postgres.User + "}, {name: PGPASSWORD, valueFrom: {secretKeyRef: {name: shop, key: password}}}], scratch: {sizeLimit: 1Gi}}"

const postgresSecret = "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: " + postgres.Password + "}\n"

// flow is an argument list in YAML's flow form.
func flow(argv []string) string {
	quoted := make([]string, len(argv))
	for i, word := range argv {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (p *place) postgres() *postgres.Server {
	p.Helper()
	server, err := postgres.Start(p.ctx, layout.HostAddress)
	p.must(err)
	p.Cleanup(server.Stop)
	return server
}

// noSecretIn looks for a secret in the statuses, Jobs and logs of both sides.
func (p *place) noSecretIn(secret string) {
	p.Helper()
	for _, side := range []kit.Kubectl{p.Primary, p.Standby} {
		namespace := side.Namespace(p.namespace)
		out, err := side.Run(p.ctx, "", "get", "bks,bk,rsts,rst,jobs,pods,events", "--namespace", namespace, "--output", "yaml")
		p.must(err)
		logs, err := side.Run(p.ctx, "", "logs", "--namespace", namespace, "--selector", "app.kubernetes.io/managed-by=lifeboat", "--all-containers", "--tail", "-1", "--ignore-errors")
		p.must(err)
		if strings.Contains(out+logs, secret) {
			p.Errorf("%s shows the secret", namespace)
		}
	}
}

// The vendor's own export of a running server's files, which a claim brings into the pod; what is in
// the bucket is read by the vendor's own import.
func TestCommandInfluxInspect(t *testing.T) {
	needsBed(t, "mounts a server's directory")
	const rows = 5000
	p := newPlace(t)
	vendor := p.vendorImage("influx-inspect", p.Dirs.Bin("influx_inspect"))
	ledger := p.ledger(rows)
	// The server runs as root and lets nobody else look into its directories. Of a volume of a storage
	// class Kubernetes gives the files to the pod's group, of a node's directory it does not.
	server := p.Dirs.Run("influx", layout.InfluxPrimary.Name)
	p.must(filepath.WalkDir(server, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		if errors.Is(err, fs.ErrNotExist) { // of a database that another test drops
			return nil
		}
		return err
	}))
	p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)))
	p.must(p.Primary.Apply(p.ctx, fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  hostPath: {path: %[2]q, type: Directory}
  claimRef: {namespace: %[1]s, name: influxdb}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: influxdb, namespace: %[1]s}
spec:
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  volumeName: %[1]s
  resources: {requests: {storage: 1Gi}}
---
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: files, namespace: %[1]s}
spec:
  source:
    command:
      name: influxdb-primary-files
      image: %[3]s
      export:
        command: [influx_inspect, export, -datadir, /influxdb/data, -waldir, /influxdb/wal, -database, %[4]q, -out, "-"]
        from: stdout
  storage: {name: dr-bucket}
  retry: {limit: 0}
  job:
    volumes: [{name: influxdb, persistentVolumeClaim: {claimName: influxdb, readOnly: true}}]
    volumeMounts: [{name: influxdb, mountPath: /influxdb, readOnly: true}]
`, p.namespace, server, vendor, p.database)))
	p.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := p.Primary.Run(ctx, "", "delete", "persistentvolume", p.namespace, "--wait=false", "--ignore-not-found"); err != nil {
			p.Log(err)
		}
	})
	backup, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "backup", "files", "Complete", "True", 2*time.Minute)
	p.must(err)

	to := filepath.Join(p.TempDir(), "fetched")
	p.lifeboat("fetch", backup.Text("status", "manifest", "path"), "--to", to)
	files, err := filepath.Glob(filepath.Join(to, "*.gz"))
	p.must(err)
	if len(files) != 1 {
		t.Fatalf("one file was to be fetched: %v", files)
	}
	influx := exec.CommandContext(p.ctx, p.Dirs.Bin("influx"), "-host", layout.InfluxStandby.Address, "-import", "-path", files[0], "-compressed")
	out, err := influx.CombinedOutput()
	if err != nil {
		t.Fatalf("influx -import: %v\n%s", err, out)
	}
	points, err := ledger.Compare(p.ctx, p.Target, p.database, rows)
	p.must(err)
	t.Logf("%d points are equal", points)
}
