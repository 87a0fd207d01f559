package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Influx talks to one InfluxDB over HTTP, with nothing of Lifeboat's in between.
type Influx struct {
	URL      string
	User     string
	Password string
}

var influxClient = &http.Client{Timeout: 5 * time.Minute}

// Write sends line protocol; nil means that the server acknowledged all of it.
func (i Influx) Write(ctx context.Context, database, lines string) error {
	return i.WriteTo(ctx, database, "", lines)
}

// WriteTo sends line protocol into a retention policy.
func (i Influx) WriteTo(ctx context.Context, database, policy, lines string) error {
	values := url.Values{"db": {database}, "precision": {"ns"}}
	if policy != "" {
		values.Set("rp", policy)
	}
	response, err := i.do(ctx, http.MethodPost, "/write?"+values.Encode(), strings.NewReader(lines), "text/plain")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
		return fmt.Errorf("write to %s: %s: %s", i.URL, response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// Series is one series of an answer.
type Series struct {
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
}

type answer struct {
	Results []struct {
		Series []Series `json:"series"`
		Error  string   `json:"error"`
	} `json:"results"`
	Error string `json:"error"`
}

// Query asks and hands each series to visit, a chunk at a time. Numbers come as json.Number.
func (i Influx) Query(ctx context.Context, database, query string, visit func(Series) error) error {
	form := url.Values{"db": {database}, "epoch": {"ns"}, "q": {query}, "chunked": {"true"}, "chunk_size": {"10000"}}
	response, err := i.do(ctx, http.MethodPost, "/query", strings.NewReader(form.Encode()), "application/x-www-form-urlencoded")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	for {
		var got answer
		if err := decoder.Decode(&got); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("query %q: %w", query, err)
		}
		if got.Error != "" {
			return fmt.Errorf("query %q: %s", query, got.Error)
		}
		for _, result := range got.Results {
			if result.Error != "" {
				return fmt.Errorf("query %q: %s", query, result.Error)
			}
			for _, series := range result.Series {
				if err := visit(series); err != nil {
					return err
				}
			}
		}
	}
}

// Execute runs a statement and drops its answer.
func (i Influx) Execute(ctx context.Context, statement string) error {
	return i.Query(ctx, "", statement, func(Series) error { return nil })
}

// Ping says whether the server answers.
func (i Influx) Ping(ctx context.Context) error {
	response, err := i.do(ctx, http.MethodGet, "/ping", nil, "")
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (i Influx) do(ctx context.Context, method, path string, body io.Reader, kind string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, i.URL+path, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if i.User != "" {
		request.SetBasicAuth(i.User, i.Password)
	}
	return influxClient.Do(request)
}
