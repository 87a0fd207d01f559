package rethinkdb

import (
	"bufio"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"crypto/pbkdf2"
	"crypto/sha256"
)

func readFull(in *bufio.Reader, into []byte) (int, error) { return io.ReadFull(in, into) }

func clientProof(password string, salt []byte, rounds int, message string) string {
	salted, _ := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	for i, b := range sign(stored[:], message) {
		key[i] ^= b
	}
	return base64.StdEncoding.EncodeToString(key)
}

func TestLogins(t *testing.T) {
	s := New("s1")
	admin := dial(t, s)
	if last := admin.login("admin", ""); last["success"] != true {
		t.Fatal(last)
	}
	users := `[1,[56,[[15,[[14,["rethinkdb"]],"users"]],{"id":"bob","password":"x"}]],{}]`
	if answer := admin.ask(1, []byte(users)); answer["t"] != 1.0 {
		t.Fatal(answer)
	}
	for _, one := range []struct {
		user, password string
		code           any
	}{{"bob", "x", nil}, {"bob", "y", 12.0}, {"eve", "", 17.0}, {"admin", "z", 12.0}} {
		if last := dial(t, s).login(one.user, one.password); last["error_code"] != one.code {
			t.Errorf("%s: %v", one.user, last)
		}
	}
	bob := dial(t, s)
	bob.login("bob", "x")
	if answer := bob.ask(1, []byte(`[1,[15,[[14,["rethinkdb"]],"db_config"]],{}]`)); answer["e"] != float64(permission) {
		t.Errorf("bob may read: %v", answer)
	}
}

func TestStreamsComeInBatches(t *testing.T) {
	s := New("s1")
	d := dial(t, s)
	d.login("admin", "")
	ask := func(token uint64, query string) map[string]any { return d.ask(token, []byte(query)) }
	ask(1, `[1,[60,[[14,["test"]],"t"]],{}]`)
	rows := strings.Repeat(`{"x":"0123456789"},`, 99) + `{"x":"y"}`
	if answer := ask(2, `[1,[56,[[15,[[14,["test"]],"t"]],[2,[`+rows+`]]]],{}]`); answer["t"] != 1.0 {
		t.Fatal(answer)
	}
	query := `[1,[41,[[15,[[14,["test"]],"t"]]],{"index":"id"}],{"min_batch_rows":1,"max_batch_bytes":500}]`
	seen := 0
	answer := ask(3, query)
	for answer["t"] == 3.0 {
		seen += len(answer["r"].([]any))
		answer = ask(3, `[2]`)
	}
	if seen += len(answer["r"].([]any)); seen != 100 || answer["t"] != 2.0 {
		t.Errorf("%d rows, then %v", seen, answer["t"])
	}
	ask(4, query)
	if stopped := ask(4, `[3]`); stopped["t"] != 2.0 {
		t.Error(stopped)
	}
	if gone := ask(4, `[2]`); gone["t"] != 16.0 {
		t.Error(gone)
	}
	if waited := ask(5, `[4]`); waited["t"] != 4.0 {
		t.Error(waited)
	}
	if unknown := ask(6, `[1,[9999,[]],{}]`); unknown["t"] != 18.0 {
		t.Error(unknown)
	}
}

// Keys of every type, in the order that the server has.
func TestOrderOfKeys(t *testing.T) {
	keys := []string{`[]`, `[1]`, `[1,"a"]`, `[2]`, `false`, `true`, `-1`, `0`, `1.5`, `2`,
		`{"$reql_type$":"BINARY","data":"AA=="}`, `{"$reql_type$":"TIME","epoch_time":1,"timezone":"+00:00"}`,
		`{"$reql_type$":"TIME","epoch_time":2,"timezone":"Z"}`, `""`, `"a"`, `"ä"`}
	var values []any
	for _, key := range keys {
		value, err := decode([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	for i, one := range values {
		for j, other := range values {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := compare(one, other); got != want {
				t.Errorf("%s and %s: %d", keys[i], keys[j], got)
			}
		}
	}
}
