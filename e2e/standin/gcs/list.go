package gcs

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// pageSize is small, so that a test of some dozen objects has several pages; Google's is 1,000.
const pageSize = 10

type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Contents              []content
	CommonPrefixes        []commonPrefix
	NextContinuationToken string `xml:",omitempty"`
	IsTruncated           bool
}

type content struct {
	Key, ETag, LastModified string
	Size                    int
}

type commonPrefix struct{ Prefix string }

func (s *Server) list(w http.ResponseWriter, bucket string, query url.Values) {
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	var names []string
	for place := range s.objects {
		name, ok := strings.CutPrefix(place, bucket+"/")
		if ok && strings.HasPrefix(name, prefix) && name > after {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var result listing
	last := ""
	for _, name := range names {
		if len(result.Contents)+len(result.CommonPrefixes) == pageSize {
			result.NextContinuationToken, result.IsTruncated = last, true
			break
		}
		if folder, _, deeper := strings.Cut(name[len(prefix):], delimiter); delimiter != "" && deeper {
			common := prefix + folder + delimiter
			if count := len(result.CommonPrefixes); count == 0 || result.CommonPrefixes[count-1].Prefix != common {
				result.CommonPrefixes = append(result.CommonPrefixes, commonPrefix{common})
			}
			// The next page begins behind all of the folder.
			last = common + "\uFFFD"
			continue
		}
		found := s.objects[bucket+"/"+name]
		result.Contents = append(result.Contents, content{
			Key: name, ETag: found.etag, Size: len(found.data),
			LastModified: found.modified.UTC().Format(time.RFC3339Nano),
		})
		last = name
	}
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	_ = xml.NewEncoder(w).Encode(result)
}
