package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/kit"
)

// nowhere is an address that no host has (RFC 5737).
const nowhere = "192.0.2.1"

// Each bad input shows a condition with its own reason and a sentence within one minute, while
// another schedule goes on. (What the API server refuses at once is in admission_test.go.)
func TestBadInput(t *testing.T) {
	other := newPlace(t)
	other.ledger(100)
	schedule := kit.Schedule{Namespace: other.namespace, Name: "other", Every: "10s", InfluxURL: other.SourceURL, Database: other.database}
	other.must(other.Primary.Apply(other.ctx, kit.BucketManifests(other.namespace, other.bucket)+"---\n"+schedule.Manifest()))
	other.must(other.awaitBackups(1))

	t.Run("cases", func(t *testing.T) {
		t.Run("location", testBadLocation)
		t.Run("backup", testBadBackup)
		t.Run("schedule", testBadSchedule)
		t.Run("restore", testBadRestore)
	})
	other.must(other.awaitBackups(1))
}

// shows waits for a condition with a reason and a message that says something.
func (p *place) shows(kubectl kit.Kubectl, kind, name, condition, status, reason string) {
	p.Helper()
	p.must(kit.Await(p.ctx, fmt.Sprintf("%s %s: %s=%s %s", kind, name, condition, status, reason), time.Minute, func() (bool, string, error) {
		object, err := kubectl.Get(p.ctx, kubectl.Namespace(p.namespace), kind, name)
		if err != nil {
			return false, "", err
		}
		have := object.Condition(condition)
		seen := fmt.Sprintf("%s=%s %s: %s", condition, have.Status, have.Reason, have.Message)
		for _, secret := range []string{p.bucket.SecretKey, layout.InfluxAdminPassword} {
			if strings.Contains(seen, secret) {
				return false, "", fmt.Errorf("a secret is in the condition: %s", seen)
			}
		}
		return have.Status == status && have.Reason == reason && len(have.Message) > 20, seen, nil
	}))
}

func testBadLocation(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		change       func(*kit.Bucket)
		replace      [2]string
		// bed is what of the test bed the case needs.
		bed string
	}{
		{name: "wrong access key", reason: "InvalidAccessKey", change: func(b *kit.Bucket) { b.AccessKey = "nobody" }},
		{name: "wrong secret key", reason: "InvalidSecretKey", change: func(b *kit.Bucket) { b.SecretKey = "wrong" }},
		{name: "missing bucket", reason: "BucketNotFound", change: func(b *kit.Bucket) { b.Name = "no-such-bucket" }},
		{name: "tls fault", reason: "TlsFailed", bed: "uses a certificate that nobody trusts", change: func(b *kit.Bucket) { b.Endpoint = "https://" + layout.StoreHost + ":7443" }},
		{name: "unreachable", reason: "Unreachable", change: func(b *kit.Bucket) { b.Endpoint = "http://" + nowhere + ":7070" }},
		{name: "missing secret", reason: "SecretNotFound", replace: [2]string{"secretRef: {name: dr-bucket}", "secretRef: {name: nowhere}"}},
		{name: "wrong key name", reason: "SecretKeyMissing", replace: [2]string{"secretAccessKey:", "secret_access_key:"}},
		{name: "read only key", reason: "AccessDenied", bed: "has a key that can't write", change: func(b *kit.Bucket) {
			b.AccessKey, b.SecretKey = layout.StoreReader.AccessKey, layout.StoreReader.SecretKey
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.bed != "" {
				needsBed(t, test.bed)
			}
			t.Parallel()
			p := newPlace(t)
			bucket := p.bucket
			if test.change != nil {
				test.change(&bucket)
			}
			manifests := kit.BucketManifests(p.namespace, bucket)
			if test.replace[0] != "" {
				manifests = strings.Replace(manifests, test.replace[0], test.replace[1], 1)
			}
			p.must(p.Primary.Apply(p.ctx, manifests))
			p.shows(p.Primary, "storagelocation", "dr-bucket", "Ready", "False", test.reason)
		})
	}
	t.Run("claim by another cluster", func(t *testing.T) {
		needsBed(t, "edits a file of the store")
		t.Parallel()
		p := newPlace(t)
		// The primary claims, the claim is turned into another cluster's, and a change of the
		// spec (a take-over from a third cluster) has it looked at again.
		p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)))
		_, err := p.Primary.AwaitCondition(p.ctx, p.namespace, "storagelocation", "dr-bucket", "Ready", "True", time.Minute)
		p.must(err)
		claims := p.storedFiles("lifeboat/v1/primary/claims", ".json")
		if len(claims) != 1 {
			t.Fatalf("claims: %v", claims)
		}
		text, err := os.ReadFile(p.stored(claims[0]))
		p.must(err)
		uid, err := p.Primary.Run(p.ctx, "", "get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}")
		p.must(err)
		foreign := strings.ReplaceAll(string(text), uid, "11111111-2222-3333-4444-555555555555")
		p.must(os.WriteFile(p.stored(claims[0]), []byte(foreign), 0o644))
		p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"  takeOverFrom: 99999999-2222-3333-4444-555555555555\n"))
		p.shows(p.Primary, "storagelocation", "dr-bucket", "Ready", "False", "ClaimedByAnother")
	})
}

// authServer is an InfluxDB that asks for a login, with a user who may only read.
func authServer(t *testing.T, p *place) (name string, admin kit.Influx) {
	t.Helper()
	name = "influxdb-auth"
	command := exec.CommandContext(p.ctx, p.Dirs.Bin("bed"), "influx", "start", name, "--auth")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("start %s: %v\n%s", name, err, out)
	}
	address := ""
	for _, word := range strings.Fields(string(out)) {
		if at, err := url.Parse(strings.Trim(word, ",.;()")); err == nil && at.Scheme == "http" {
			address = "http://" + at.Host
		}
	}
	admin = kit.Influx{URL: address, User: layout.InfluxAdmin, Password: layout.InfluxAdminPassword}
	for _, statement := range []string{
		fmt.Sprintf("CREATE DATABASE %q", p.database),
		`CREATE USER "reader" WITH PASSWORD 'reader-secret'`,
		fmt.Sprintf(`GRANT READ ON %q TO "reader"`, p.database),
	} {
		p.must(admin.Execute(p.ctx, statement))
	}
	return name, admin
}

func loginSecret(namespace, name, user, password string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: %s, namespace: %s}
stringData: {username: %q, password: %q}
`, name, namespace, user, password)
}

func testBadBackup(t *testing.T) {
	for _, test := range []struct{ name, reason, from, to string }{
		{name: "database down", reason: "DatabaseUnreachable", from: "SOURCE", to: "http://" + nowhere + ":8086"},
		{name: "database missing", reason: "DatabaseNotFound", from: "DATABASE", to: "no_such_database"},
		{name: "database secret missing", reason: "SecretNotFound", from: "url:", to: "credentials: {secretRef: {name: nowhere}}, url:"},
		{name: "database secret key missing", reason: "SecretKeyMissing", from: "url:", to: "credentials: {secretRef: {name: dr-bucket}}, url:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.ledger(10)
			manifest := strings.NewReplacer("SOURCE", p.SourceURL, "DATABASE", p.database).Replace(p.backupManifest("bad"))
			from := strings.NewReplacer("SOURCE", p.SourceURL, "DATABASE", p.database).Replace(test.from)
			manifest = strings.Replace(manifest, from, test.to, 1)
			p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+manifest))
			if test.reason == "SecretNotFound" {
				// The pod waits for its Secret, so the Backup is not over yet.
				p.shows(p.Primary, "backup", "bad", "Ready", "False", test.reason)
				return
			}
			p.shows(p.Primary, "backup", "bad", "Failed", "True", test.reason)
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		needsBed(t, "starts a database with logins")
		t.Parallel()
		p := newPlace(t)
		server, _ := authServer(t, p)
		manifest := strings.Replace(p.backupManifest("bad"), "url: \""+p.SourceURL, "credentials: {secretRef: {name: login}}, url: \""+kit.Inside(server), 1)
		p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+loginSecret(p.namespace, "login", "admin", "wrong")+"---\n"+manifest))
		p.shows(p.Primary, "backup", "bad", "Failed", "True", "DatabaseLoginFailed")
	})
	t.Run("missing location", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.must(p.Primary.Apply(p.ctx, p.backupManifest("bad")))
		p.shows(p.Primary, "backup", "bad", "Ready", "False", "StorageNotFound")
	})
}

func testBadSchedule(t *testing.T) {
	for _, test := range []struct{ name, reason, timing string }{
		{"bad cron", "InvalidCron", `cron: "61 * * * *"`},
		{"unknown zone", "UnknownTimeZone", "cron: \"0 * * * *\"\n  timeZone: Europe/Atlantis"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			schedule := kit.Schedule{Namespace: p.namespace, Name: "bad", Every: "10s", InfluxURL: p.SourceURL, Database: p.database}
			manifest := strings.Replace(schedule.Manifest(), "every: 10s", test.timing, 1)
			p.must(p.Primary.Apply(p.ctx, kit.BucketManifests(p.namespace, p.bucket)+"---\n"+manifest))
			p.shows(p.Primary, "backupschedule", "bad", "Ready", "False", test.reason)
		})
	}
}

// untouched fails where the standby has the test's database.
func (p *place) untouched() {
	p.Helper()
	p.must(p.Target.Query(context.Background(), "", "SHOW DATABASES", func(series kit.Series) error {
		for _, row := range series.Values {
			if row[0] == p.database {
				return fmt.Errorf("the target was touched: it has the database %s", p.database)
			}
		}
		return nil
	}))
}

func testBadRestore(t *testing.T) {
	flip := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(path, data, 0o644)
	}
	for _, test := range []struct {
		name, reason string
		spoil        func(manifest, file string) error
	}{
		{"manifest edited", "ManifestInvalid", func(manifest, _ string) error {
			text, err := os.ReadFile(manifest)
			if err != nil {
				return err
			}
			return os.WriteFile(manifest, []byte(strings.Replace(string(text), `"records"`, `"recordz"`, 1)), 0o644)
		}},
		{"file deleted", "DataCorrupt", func(_, file string) error { return os.Remove(file) }},
		{"file truncated", "DataCorrupt", func(_, file string) error { return os.Truncate(file, 100) }},
		{"bit flipped", "DataCorrupt", func(_, file string) error { return flip(file) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			needsBed(t, "edits files of the store")
			t.Parallel()
			p := newPlace(t)
			p.ledger(1000)
			good := p.backup("good")
			path, digest := good.Text("status", "manifest", "path"), good.Text("status", "manifest", "sha256")
			var file string
			for _, key := range p.storedFiles("lifeboat/v1/primary/"+p.namespace, ".lp.zst") {
				file = p.stored(key)
			}
			p.must(test.spoil(p.stored(path), file))
			// As a RestoreSchedule writes it: with the digest of the manifest that was found.
			restore := strings.Replace(p.restoreManifest("bad", path, ""), "path:", "sha256: "+digest+", path:", 1)
			p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+"---\n"+restore))
			p.shows(p.Standby, "restore", "bad", "Failed", "True", test.reason)
			p.untouched()
		})
	}
	t.Run("target not empty", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.ledger(100)
		p.must(p.Target.Execute(p.ctx, fmt.Sprintf("CREATE DATABASE %q", p.database)))
		p.must(p.Target.Write(p.ctx, p.database, "telemetry value=1 1\n"))
		path := p.backup("good").Text("status", "manifest", "path")
		p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+"---\n"+p.restoreManifest("bad", path, "")))
		p.shows(p.Standby, "restore", "bad", "Failed", "True", "TargetNotEmpty")
	})
	t.Run("onto its own source", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.ledger(100)
		path := p.backup("good").Text("status", "manifest", "path")
		manifest := strings.Replace(p.restoreManifest("bad", path, "  conflictPolicy: Overwrite\n  confirm: "+p.SourceURL+"\n"), p.TargetURL, p.SourceURL, 1)
		p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+"---\n"+manifest))
		p.shows(p.Standby, "restore", "bad", "Failed", "True", "TargetIsSource")
	})
	t.Run("no write permission on the target", func(t *testing.T) {
		needsBed(t, "starts a database with logins")
		t.Parallel()
		p := newPlace(t)
		server, _ := authServer(t, p)
		p.ledger(100)
		path := p.backup("good").Text("status", "manifest", "path")
		manifest := strings.Replace(p.restoreManifest("bad", path, ""), "url: \""+p.TargetURL, "credentials: {secretRef: {name: login}}, url: \""+kit.Inside(server), 1)
		p.must(p.Standby.Apply(p.ctx, kit.BucketManifests(p.standbyNamespace, p.reader)+loginSecret(p.standbyNamespace, "login", "reader", "reader-secret")+"---\n"+manifest))
		p.shows(p.Standby, "restore", "bad", "Failed", "True", "DatabasePermissionDenied")
	})
}
