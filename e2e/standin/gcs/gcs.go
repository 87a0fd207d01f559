// Package gcs is a stand-in for Google Cloud Storage's XML API, as
// https://cloud.google.com/storage/docs/xml-api documents it: objects with generations and
// preconditions, listings, uploads in parts. It checks the signature of each request's token
// (https://google.aip.dev/auth/4111) against a service account of its own.
//
// Two things are its own, so that a test gets going: every bucket whose name does not begin with
// "missing" is there, and /standin/service-account.json gives the service account's key, with
// ?unknown a key that the store does not know.
package gcs

import (
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Server is a store that keeps its objects in memory.
type Server struct {
	key     *rsa.PrivateKey
	mutex   sync.Mutex
	objects map[string]object // by bucket, slash, name
	uploads map[string]*upload
	number  int64 // of the last generation or upload
}

type object struct {
	data       []byte
	generation int64
	etag       string
	modified   time.Time
}

type upload struct {
	place string
	parts map[int]object
}

// New makes an empty store.
func New() *Server {
	return &Server{key: newKey(), objects: map[string]object{}, uploads: map[string]*upload{}}
}

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // The machine gives no random numbers.
	}
	return key
}

// Serve answers until the listener is closed.
func (s *Server) Serve(listener net.Listener) error { return http.Serve(listener, s) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/standin/service-account.json" {
		s.serviceAccount(w, r.URL.Query().Has("unknown"))
		return
	}
	if !s.authorized(r.Header.Get("Authorization")) {
		refuse(w, http.StatusUnauthorized, "AuthenticationRequired")
		return
	}
	// Names come with their slashes escaped.
	bucket, name, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	name, err := url.PathUnescape(name)
	if err != nil || bucket == "" {
		refuse(w, http.StatusBadRequest, "InvalidURI")
		return
	}
	if strings.HasPrefix(bucket, "missing") {
		refuse(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	query := r.URL.Query()
	switch {
	case name == "" && r.Method == http.MethodGet && query.Get("list-type") == "2":
		s.list(w, bucket, query)
	case name == "":
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	case query.Has("uploads") && r.Method == http.MethodPost:
		s.beginUpload(w, bucket+"/"+name)
	case query.Has("uploadId"):
		s.uploading(w, r, query)
	case r.Method == http.MethodPut:
		s.put(w, r, bucket+"/"+name)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.get(w, r, bucket+"/"+name)
	case r.Method == http.MethodDelete:
		s.delete(w, bucket+"/"+name)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}
