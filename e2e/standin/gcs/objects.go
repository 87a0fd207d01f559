package gcs

import (
	"bytes"
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}{Code: code})
}

func (s *Server) next() int64 {
	s.number++
	return s.number
}

func (s *Server) newObject(data []byte) object {
	return object{data, s.next(), fmt.Sprintf("\"%x\"", md5.Sum(data)), time.Now()}
}

func (o object) head(w http.ResponseWriter) {
	w.Header().Set("ETag", o.etag)
	w.Header().Set("x-goog-generation", strconv.FormatInt(o.generation, 10))
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, place string) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	if match := r.Header.Get("x-goog-if-generation-match"); match != "" {
		// 0 stands for: none is there.
		if match != strconv.FormatInt(s.objects[place].generation, 10) {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
	}
	stored := s.newObject(data)
	s.objects[place] = stored
	stored.head(w)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, place string) {
	found, ok := s.objects[place]
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	found.head(w)
	// Ranges, Last-Modified and HEAD are http's own.
	http.ServeContent(w, r, "object", found.modified, bytes.NewReader(found.data))
}

func (s *Server) delete(w http.ResponseWriter, place string) {
	if _, ok := s.objects[place]; !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	delete(s.objects, place)
	w.WriteHeader(http.StatusNoContent)
}
