package cnosdb

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"
)

type exchange struct {
	Note    string
	Request struct {
		Method, Path  string
		Headers       map[string]string
		Authorization *string
		Body          *string
	}
	Response struct {
		Status      int
		ContentType *string `json:"content_type"`
		Body        string
	}
}

// The stand-in answers as the real server did, with an S3 server in the place of the recorded one. What
// a failed COPY says holds a signature and times: there the code and the store's word are compared.
func TestTheRecordedConversation(t *testing.T) {
	file, err := os.Open("testdata/http-2.4.2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	server, store, disk := New(), newS3(t, "dr-exports", "testsecret"), t.TempDir()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	played := 0
	for lines.Scan() {
		var one exchange
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		body := ""
		if one.Request.Body != nil {
			body = strings.ReplaceAll(*one.Request.Body, "http://127.0.0.1:7070", store.url)
			body = strings.ReplaceAll(body, "file:///backup", "file://"+disk)
		}
		played++
		request := httptest.NewRequest(one.Request.Method, one.Request.Path, strings.NewReader(body))
		for name, value := range one.Request.Headers {
			request.Header.Set(name, value)
		}
		if one.Request.Authorization != nil {
			request.SetBasicAuth("root", "")
		}
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		answer := recorder.Result()
		got := recorder.Body.String()
		if strings.HasPrefix(body, "COPY INTO") && one.Response.Status != http.StatusOK {
			got, one.Response.Body = gist(got), gist(one.Response.Body)
		}
		if answer.StatusCode != one.Response.Status || !same(got, one.Response.Body) {
			t.Errorf("%s\nanswered %d %s\nrecorded %d %s", one.Note, answer.StatusCode, got, one.Response.Status, one.Response.Body)
		}
		if kind := one.Response.ContentType; kind != nil && answer.Header.Get("Content-Type") != *kind {
			t.Errorf("%s: content type %q, recorded %q", one.Note, answer.Header.Get("Content-Type"), *kind)
		}
	}
	if played != 48 {
		t.Errorf("%d exchanges were played", played)
	}
	// A second COPY to one path made as many files again.
	if files := store.count("exp/parquet/air/"); files != 4 {
		t.Errorf("%d files after two copies", files)
	}
	if files := store.count("exp/parquet/empty/"); files != 0 {
		t.Errorf("%d files of an empty table", files)
	}
}

var codes = regexp.MustCompile(`<Code>(\w+)</Code>|Table not found.*`)

// gist is a failure's code, and the store's word in it.
func gist(body string) string {
	var said struct {
		Code    string `json:"error_code"`
		Message string `json:"error_message"`
	}
	_ = json.Unmarshal([]byte(body), &said)
	return said.Code + " " + codes.FindString(said.Message)
}

// same compares bodies: the same bytes, or lists of the same objects in any order.
func same(a, b string) bool {
	if strings.TrimSpace(a) == strings.TrimSpace(b) {
		return true
	}
	rows := func(text string) []string {
		var all []json.RawMessage
		if json.Unmarshal([]byte(text), &all) != nil {
			return nil
		}
		texts := make([]string, len(all))
		for at, one := range all {
			texts[at] = string(one)
		}
		sort.Strings(texts)
		return texts
	}
	one, other := rows(a), rows(b)
	return one != nil && reflect.DeepEqual(one, other)
}

func ask(t *testing.T, server *Server, path, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewBufferString(body))
	request.SetBasicAuth("root", "")
	request.Header.Set("Accept", "application/nd-json")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

// What the vendor's parser makes of line protocol that other servers read in another way.
func TestLineProtocolIsReadAsTheVendorDoes(t *testing.T) {
	const sql, write = "/api/v1/sql?tenant=cnosdb&db=public", "/api/v1/write?tenant=cnosdb&db=public&precision=ns"
	for _, c := range []struct {
		line string
		rows string
	}{
		{`m,t=a v=1i 5`, `{"t":"a","time":"1970-01-01T00:00:00.000000005","v":1}`},
		{`m,t=a\ b\,\=c\\d s="q\"uote, \\ x" -1`, `{"s":"q\"uote, \\ x","t":"a b,=c\\\\d","time":"1969-12-31T23:59:59.999999999"}`},
	} {
		server := New()
		status, said := ask(t, server, write, c.line)
		_, rows := ask(t, server, sql, "SELECT * FROM m")
		if status != 200 || strings.TrimSpace(rows) != c.rows {
			t.Errorf("%s\n%d %s\n%s", c.line, status, said, rows)
		}
	}
	for _, line := range []string{`m,t= v=1 1`, `m 1`, `m,t=a\ v=1 1`, `m s="a\\\"b" 1`} {
		if status, _ := ask(t, New(), write, line); status != http.StatusUnprocessableEntity {
			t.Errorf("%s was taken", line)
		}
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	server := New()
	request := httptest.NewRequest(http.MethodPost, "/api/v1/sql", strings.NewReader("SELECT 1"))
	request.SetBasicAuth("root", "wrong")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	if !strings.Contains(recorder.Body.String(), "Access denied") || recorder.Code != 422 {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}
