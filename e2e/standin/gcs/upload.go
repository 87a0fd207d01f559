package gcs

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// leastPart is the size that each part but the last must have at least.
const leastPart = 5 << 20

func (s *Server) beginUpload(w http.ResponseWriter, place string) {
	id := strconv.FormatInt(s.next(), 10)
	s.uploads[id] = &upload{place, map[int]object{}}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}{UploadID: id})
}

func (s *Server) uploading(w http.ResponseWriter, r *http.Request, query url.Values) {
	id := query.Get("uploadId")
	found, ok := s.uploads[id]
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch r.Method {
	case http.MethodPut:
		s.putPart(w, r, found, query.Get("partNumber"))
	case http.MethodPost:
		if s.complete(w, r, found) {
			delete(s.uploads, id)
		}
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func (s *Server) putPart(w http.ResponseWriter, r *http.Request, to *upload, partNumber string) {
	number, err := strconv.Atoi(partNumber)
	data, readErr := io.ReadAll(r.Body)
	if err != nil || readErr != nil || number < 1 || number > 10_000 {
		refuse(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	part := s.newObject(data)
	to.parts[number] = part
	part.head(w)
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, from *upload) bool {
	var order struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if xml.NewDecoder(r.Body).Decode(&order) != nil || len(order.Part) == 0 {
		refuse(w, http.StatusBadRequest, "MalformedXML")
		return false
	}
	var data []byte
	for at, part := range order.Part {
		found, ok := from.parts[part.PartNumber]
		if !ok || found.etag != part.ETag || (at > 0 && part.PartNumber <= order.Part[at-1].PartNumber) {
			refuse(w, http.StatusBadRequest, "InvalidPart")
			return false
		}
		if at < len(order.Part)-1 && len(found.data) < leastPart {
			refuse(w, http.StatusBadRequest, "EntityTooSmall")
			return false
		}
		data = append(data, found.data...)
	}
	stored := s.newObject(data)
	s.objects[from.place] = stored
	stored.head(w)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		ETag    string
	}{ETag: stored.etag})
	return true
}
