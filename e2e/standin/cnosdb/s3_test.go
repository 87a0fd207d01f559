package cnosdb

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// s3 is what a COPY needs of an S3 server: put, get, list, and signatures that are checked.
type s3 struct {
	url, bucket, secret string
	objects             map[string][]byte
}

func newS3(t *testing.T, bucket, secret string) *s3 {
	t.Helper()
	store := &s3{bucket: bucket, secret: secret, objects: map[string][]byte{}}
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	store.url = server.URL
	return store
}

func (s *s3) count(prefix string) int {
	count := 0
	for key := range s.objects {
		if strings.HasPrefix(key, prefix) {
			count++
		}
	}
	return count
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code></Error>", code)
	}
	if !s.signed(r, body) {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket != s.bucket:
		refuse(http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut:
		s.objects[key] = body
	case key != "":
		_, _ = w.Write(s.objects[key])
	default:
		type object struct{ Key string }
		var found struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []object
		}
		for _, key := range sorted(s.objects) {
			if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				found.Contents = append(found.Contents, object{key})
			}
		}
		_ = xml.NewEncoder(w).Encode(found)
	}
}

// signed makes the signature anew with the right secret.
func (s *s3) signed(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again, _ := http.NewRequest(r.Method, s.url+r.URL.RequestURI(), nil)
	sign(again, body, map[string]string{"region": "us-east-1", "access_key_id": "testkey", "secret_key": s.secret}, at)
	return again.Header.Get("Authorization") == r.Header.Get("Authorization")
}
