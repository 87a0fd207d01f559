package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Elastic talks to one Elasticsearch over HTTP, with nothing of Lifeboat's in between.
type Elastic struct{ URL string }

var elasticClient = &http.Client{Timeout: time.Minute}

// Do sends a request; an answer that is no error is decoded into `into`, where that is not nil.
func (e Elastic) Do(ctx context.Context, method, path, body string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, e.URL+"/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := elasticClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.2000s", method, path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// Indices are the names of all indices that have a text in them.
func (e Elastic) Indices(ctx context.Context, part string) ([]string, error) {
	var all map[string]any
	err := e.Do(ctx, http.MethodGet, "_all/_settings/index.uuid?expand_wildcards=all", "", &all)
	var names []string
	for name := range all {
		if strings.Contains(name, part) {
			names = append(names, name)
		}
	}
	return names, err
}

// Collection writes documents whose content follows from their number into an index, and keeps
// account of those that the server acknowledged and when.
type Collection struct {
	Elastic Elastic
	Index   string

	Account
}

// source is document n, byte by byte: what a careless copy changes is in it.
func source(n int) string {
	return fmt.Sprintf(`{"seq":%d,"value":%d.50,"big":%d,"negative":-0.0,"note":"row \u00e9 %d, \"quoted\"","nested":{"z":[%d,null],"a":{}}}`,
		n, n, 9007199254740993+n, n, n)
}

// Make makes the index with the alias that Kuzzle would give it.
func (c *Collection) Make(ctx context.Context) error {
	body := fmt.Sprintf(`{"mappings":{"dynamic":false,"properties":{"seq":{"type":"long"}}},"aliases":{%q:{}}}`, "@"+c.Index)
	return c.Elastic.Do(ctx, http.MethodPut, url.PathEscape(c.Index), body, nil)
}

// Write writes documents [first, next); only acknowledged ones count.
func (c *Collection) Write(ctx context.Context, first, next int) error {
	var body strings.Builder
	for n := first; n < next; n++ {
		fmt.Fprintf(&body, "{\"index\":{\"_id\":\"%d\",\"routing\":\"r%d\"}}\n%s\n", n, n%5, source(n))
	}
	var answer struct{ Errors bool }
	if err := c.Elastic.Do(ctx, http.MethodPost, url.PathEscape(c.Index)+"/_bulk", body.String(), &answer); err != nil {
		return err
	}
	if answer.Errors {
		return fmt.Errorf("documents %d to %d were refused", first, next)
	}
	c.Acked(first, next)
	return nil
}

// Follow writes a batch each interval until the context ends.
func (c *Collection) Follow(ctx context.Context, first int, interval time.Duration, batch int) {
	Follow(ctx, first, interval, batch, func(first, next int) error { return c.Write(ctx, first, next) })
}

// Compare reads all documents of the index from another server and compares each with what was
// written. Documents [0, must) have to be there; later ones may be, and must be equal too.
func (c *Collection) Compare(ctx context.Context, other Elastic, must int) (documents int, err error) {
	path := url.PathEscape(c.Index)
	if err := other.Do(ctx, http.MethodPost, path+"/_refresh", "", nil); err != nil {
		return 0, err
	}
	for after := -1; ; {
		var answer struct {
			Hits struct {
				Hits []struct {
					ID      string          `json:"_id"`
					Routing string          `json:"_routing"`
					Source  json.RawMessage `json:"_source"`
				}
			}
		}
		search := fmt.Sprintf(`{"size":5000,"sort":["seq"],"search_after":[%d]}`, after)
		if err := other.Do(ctx, http.MethodPost, path+"/_search", search, &answer); err != nil {
			return documents, err
		}
		for _, hit := range answer.Hits.Hits {
			n := documents
			if hit.ID != fmt.Sprint(n) || hit.Routing != fmt.Sprintf("r%d", n%5) || !bytes.Equal(hit.Source, []byte(source(n))) {
				return documents, fmt.Errorf("document %d is %s (%s) %s, and not %s", n, hit.ID, hit.Routing, hit.Source, source(n))
			}
			documents, after = documents+1, n
		}
		if len(answer.Hits.Hits) == 0 {
			break
		}
	}
	if documents < must {
		return documents, fmt.Errorf("the standby has %d documents, and %d were acknowledged", documents, must)
	}
	return documents, nil
}
