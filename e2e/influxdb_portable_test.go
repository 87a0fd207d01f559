package e2e

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/kit"
)

// The loop by the servers' own files: a schedule with increments, a standing replay into a database
// that is there after the first, and a drill.
func TestInfluxdbPortable(t *testing.T) {
	p := newPlace(t)
	needsBed(t, "reaches the backup services of the InfluxDB servers")
	ledger := p.ledger(20_000)
	source, target := backupAddress(p, p.SourceURL), backupAddress(p, p.TargetURL)
	e := engine{
		source:    fmt.Sprintf("{influxdb: {url: %q, method: portable, backupAddress: %q, databases: [{name: %q}], incremental: {overlap: 1m}}}", p.SourceURL, source, p.database),
		target:    fmt.Sprintf("{influxdb: {url: %q, backupAddress: %q}}", p.TargetURL, target),
		targetURL: p.TargetURL, verify: "Counts", drillVerify: "Counts",
	}
	p.schedule(e)
	p.standby(e)
	p.awaitReplays(3)
	standby, err := p.Standby.Get(p.ctx, p.standbyNamespace, "restoreschedule", "standby")
	p.must(err)
	must := ledger.AckedBefore(standby.Time("status", "lastConsistencyTime"))
	if must < 20_000 {
		t.Fatalf("only %d rows were acknowledged before the claimed consistencyTime", must)
	}
	_, err = ledger.Compare(p.ctx, p.Target, p.database, must)
	p.must(err)

	p.drill(e)
	p.must(kit.Await(p.ctx, "no database of Lifeboat's own is left", time.Minute, func() (bool, string, error) {
		left := ""
		err := p.Target.Query(p.ctx, "", "SHOW DATABASES", func(series kit.Series) error {
			for _, row := range series.Values {
				if name := fmt.Sprint(row[0]); strings.HasPrefix(name, "lifeboat_") {
					left = name
				}
			}
			return nil
		})
		return err == nil && left == "", left, err
	}))
}

// backupAddress is where a server of the bed gives and takes its files.
func backupAddress(p *place, server string) string {
	p.Helper()
	parsed, err := url.Parse(server)
	p.must(err)
	return net.JoinHostPort(parsed.Hostname(), "8088")
}
