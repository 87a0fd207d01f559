package emqx

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// exchange is one line of the recording.
type exchange struct {
	Note    string
	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         any
	}
	Response struct {
		Status int
		Body   any
	}
}

// The recording is made again, in its order, against a stand-in in the same state.
func TestRecordedConversation(t *testing.T) {
	server := New()
	server.Load()
	server.now = func() time.Time { return time.Date(2026, 11, 20, 10, 30, 42, 810e6, time.UTC) }
	server.files[Core]["emqx-export-2026-11-20-10-15-10.234.tar.gz"] = stored{content: make([]byte, 1780), created: server.now().Add(-48 * time.Second)}
	file, err := os.Open("testdata/rest-5.4.1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	seen := 0
	for lines.Scan() {
		var recorded exchange
		if err := json.Unmarshal(lines.Bytes(), &recorded); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(recorded.Request.Path, "/mqtt/retainer/") {
			continue // Nobody asks the stand-in for retained messages: no archive holds them.
		}
		seen++
		t.Run(recorded.Note, func(t *testing.T) { again(t, server, recorded) })
	}
	if seen < 30 {
		t.Fatalf("only %d exchanges", seen)
	}
}

func again(t *testing.T, server *Server, recorded exchange) {
	request := httptest.NewRequest(recorded.Request.Method, recorded.Request.Path, bytes.NewReader(plain(t, recorded.Request.Body)))
	for name, value := range recorded.Request.Headers {
		request.Header.Set(name, value)
	}
	if recorded.Response.Status == 401 {
		request.SetBasicAuth(Key, "wrong")
	} else {
		request.SetBasicAuth(Key, Secret)
	}
	response := httptest.NewRecorder()
	server.ServeHTTP(response, request)
	if response.Code != recorded.Response.Status {
		t.Fatalf("status %d, recorded %d: %s", response.Code, recorded.Response.Status, response.Body)
	}
	expected := plain(t, recorded.Response.Body)
	if binary, ok := recorded.Response.Body.(map[string]any); ok && binary["base64"] != nil {
		sameArchive(t, response.Body.Bytes(), expected)
		return
	}
	if len(expected) == 0 {
		if response.Body.Len() > 0 {
			t.Fatalf("there is a body: %s", response.Body)
		}
		return
	}
	if want, have := normal(t, expected), normal(t, response.Body.Bytes()); !reflect.DeepEqual(want, have) {
		t.Fatalf("recorded %v\nfound    %v", want, have)
	}
}

// plain are the bytes of a recorded body.
func plain(t *testing.T, body any) []byte {
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(body)
	case map[string]any:
		content, err := base64.StdEncoding.DecodeString(body["base64"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	t.Fatalf("a body of another kind: %v", body)
	return nil
}

// normal is a body without what can't be the same: sizes of archives, a node's load, and the lists
// themselves, of which only the length is asked for.
func normal(t *testing.T, body []byte) any {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	switch value := value.(type) {
	case []any:
		var nodes []any
		for _, one := range value {
			node := one.(map[string]any)
			nodes = append(nodes, []any{node["node"], node["role"], node["edition"], node["version"], node["node_status"]})
		}
		return nodes
	case map[string]any:
		delete(value, "size")
		if meta, ok := value["meta"].(map[string]any); ok {
			if files, ok := value["data"].([]any); ok && len(files) > 0 {
				if _, ok := files[0].(map[string]any)["filename"]; ok {
					for _, file := range files {
						delete(file.(map[string]any), "size")
					}
					return value
				}
			}
			return meta["count"]
		}
	}
	return value
}

func sameArchive(t *testing.T, found, expected []byte) {
	have, err := read(RecordedName, found)
	if err != nil {
		t.Fatal(err)
	}
	want, err := read(RecordedName, expected)
	if err != nil {
		t.Fatal(err)
	}
	if want.version != have.version || want.edition != have.edition || want.configuration != have.configuration {
		t.Fatal("another META or configuration")
	}
	for name, table := range want.tables {
		if !bytes.Equal(table.log(), have.tables[name].log()) {
			t.Fatalf("another table %s", name)
		}
	}
}

// What is not in the recording: the table's own bytes are read and written without loss, and imports
// add up.
func TestState(t *testing.T) {
	server := New()
	if rows := server.Rows(); rows["emqx_authn_mnesia"] != 0 {
		t.Fatal(rows)
	}
	server.Load()
	server.Load()
	server.AddUser("u0")
	server.AddUser("new")
	if rows := server.Rows(); rows["emqx_authn_mnesia"] != 6 || rows["emqx_app"] != 2 || rows["emqx_acl"] != 1 {
		t.Fatal(rows)
	}
	name, file := server.export()
	other := New()
	found, err := read(name, file.content)
	if err != nil {
		t.Fatal(err)
	}
	other.merge(found)
	if !reflect.DeepEqual(other.Rows(), server.Rows()) || other.rules() != 1 {
		t.Fatal(other.Rows(), other.rules())
	}
}

// Uploads without a length, in chunks, are taken too.
func TestUploadInChunks(t *testing.T) {
	server := New()
	host := httptest.NewServer(server)
	defer host.Close()
	form := "--b\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"" + RecordedName + "\"\r\nContent-Type: application/gzip\r\n\r\n"
	body := io.MultiReader(strings.NewReader(form), bytes.NewReader(recorded), strings.NewReader("\r\n--b--\r\n"))
	request, err := http.NewRequest("POST", host.URL+"/api/v5/data/files", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	request.SetBasicAuth(Key, Secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 204 {
		t.Fatal(response.Status)
	}
}
