package cnosdb

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// place is where COPY INTO writes files to and reads them from.
type place interface {
	put(name string, text []byte) *failure
	all() ([][]byte, *failure)
}

// openPlace takes `file://` and `s3://`; the other stores are refused as an unknown word would be.
func openPlace(address string, how copying) (place, *failure) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fail("010001", "Datafusion: External error: %v", err)
	}
	switch parsed.Scheme {
	case "file":
		return directory(parsed.Path), nil
	case "s3":
		for _, needed := range []string{"region", "access_key_id", "secret_key"} {
			if how.connection[needed] == "" {
				return nil, fail("010009", "Semantic error: `%s` must be initialized", needed)
			}
		}
		if how.connection["virtual_hosted_style"] != "false" {
			return nil, fail("010047", "object store error: the stand-in knows path style only")
		}
		prefix := strings.Trim(parsed.Path, "/")
		return bucket{parsed.Host, prefix, how.connection}, nil
	}
	return nil, fail("010009", "Semantic error: Unsupported url schema [%s]", parsed.Scheme)
}

// directory is one on the node's own disk.
type directory string

func (d directory) put(name string, text []byte) *failure {
	if err := os.MkdirAll(string(d), 0o777); err != nil {
		return fail("010047", "object store error: %v", err)
	}
	if err := os.WriteFile(filepath.Join(string(d), name), text, 0o666); err != nil {
		return fail("010047", "object store error: %v", err)
	}
	return nil
}

func (d directory) all() ([][]byte, *failure) {
	entries, err := os.ReadDir(string(d))
	if err != nil && !os.IsNotExist(err) {
		return nil, fail("010047", "object store error: %v", err)
	}
	var files [][]byte
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(string(d), entry.Name()))
		if err != nil {
			return nil, fail("010047", "object store error: %v", err)
		}
		files = append(files, text)
	}
	return files, nil
}

// bucket is a prefix of an S3 bucket.
type bucket struct {
	name, prefix string
	options      map[string]string
}

func (b bucket) put(name string, text []byte) *failure {
	_, problem := b.send(http.MethodPut, b.prefix+"/"+name, nil, text)
	return problem
}

func (b bucket) all() ([][]byte, *failure) {
	query := url.Values{"list-type": {"2"}, "prefix": {b.prefix + "/"}}
	text, problem := b.send(http.MethodGet, "", query, nil)
	if problem != nil {
		return nil, problem
	}
	var found struct {
		Contents []struct{ Key string }
	}
	if err := xml.Unmarshal(text, &found); err != nil {
		return nil, fail("010047", "object store error: %v", err)
	}
	var files [][]byte
	for _, one := range found.Contents {
		text, problem := b.send(http.MethodGet, one.Key, nil, nil)
		if problem != nil {
			return nil, problem
		}
		files = append(files, text)
	}
	return files, nil
}

func (b bucket) send(method, key string, query url.Values, body []byte) ([]byte, *failure) {
	address := strings.TrimSuffix(b.options["endpoint_url"], "/") + "/" + b.name
	if key != "" {
		address += "/" + key
	}
	request, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fail("010047", "object store error: %v", err)
	}
	request.URL.RawQuery = query.Encode()
	sign(request, body, b.options, time.Now().UTC())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fail("010047", "object store error: Generic S3 error: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, fail("010047", "object store error: Generic S3 error: %v", err)
	case answer.StatusCode == http.StatusNotFound:
		return nil, fail("010047", "object store error: Object at location %s not found: response error \"%s\", after 0 retries: HTTP status client error (404 Not Found) for url (%s)", key, text, address)
	case answer.StatusCode >= 300:
		return nil, fail("010047", "object store error: Generic S3 error: response error \"%s\", after 0 retries: HTTP status client error (%s) for url (%s)", text, answer.Status, address)
	}
	return text, nil
}

// sign signs as AWS asks for: version 4, with the host, the time and the body's digest.
func sign(request *http.Request, body []byte, options map[string]string, now time.Time) {
	at, digest := now.Format("20060102T150405Z"), sha256.Sum256(body)
	request.Header.Set("X-Amz-Date", at)
	request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	if token := options["token"]; token != "" {
		request.Header.Set("X-Amz-Security-Token", token)
	}
	headers := map[string]string{"host": request.URL.Host}
	for name, values := range request.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			headers[lower] = values[0]
		}
	}
	signed := sorted(headers)
	var lines strings.Builder
	for _, name := range signed {
		fmt.Fprintf(&lines, "%s:%s\n", name, headers[name])
	}
	canonical := strings.Join([]string{request.Method, request.URL.EscapedPath(), canonicalQuery(request.URL.Query()), lines.String(), strings.Join(signed, ";"), hex.EncodeToString(digest[:])}, "\n")
	scope := at[:8] + "/" + options["region"] + "/s3/aws4_request"
	hashed := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + at + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])
	key := []byte("AWS4" + options["secret_key"])
	for _, word := range []string{at[:8], options["region"], "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(word))
		key = mac.Sum(nil)
	}
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", options["access_key_id"], scope, strings.Join(signed, ";"), hex.EncodeToString(key)))
}

func canonicalQuery(query url.Values) string {
	var all []string
	for name, values := range query {
		for _, value := range values {
			all = append(all, escape(name)+"="+escape(value))
		}
	}
	sort.Strings(all)
	return strings.Join(all, "&")
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
