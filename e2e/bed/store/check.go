package store

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
)

// Check proves that each account may do what it should, and no more.
func Check(ctx context.Context) (string, error) {
	const bucket, object = "/" + layout.StoreBucket, "/" + layout.StoreBucket + "/bed-check"
	stranger := layout.Account{AccessKey: layout.StoreWriter.AccessKey, SecretKey: "wrong"}
	var said strings.Builder
	for _, attempt := range []struct {
		who, method, path, query string
		account                  layout.Account
		want                     int
	}{
		{"read-write", http.MethodPut, object, "", layout.StoreWriter, http.StatusOK},
		{"read-write", http.MethodGet, object, "", layout.StoreWriter, http.StatusOK},
		{"read-only", http.MethodGet, object, "", layout.StoreReader, http.StatusOK},
		{"read-only", http.MethodGet, bucket, "list-type=2", layout.StoreReader, http.StatusOK},
		{"read-only", http.MethodPut, object, "", layout.StoreReader, http.StatusForbidden},
		{"read-only", http.MethodPost, object + "-parts", "uploads=", layout.StoreReader, http.StatusForbidden},
		{"read-only", http.MethodDelete, object, "", layout.StoreReader, http.StatusForbidden},
		{"wrong-secret", http.MethodGet, object, "", stranger, http.StatusForbidden},
		{"read-write", http.MethodDelete, object, "", layout.StoreWriter, http.StatusNoContent},
	} {
		var body []byte
		if attempt.method == http.MethodPut {
			body = []byte("written by the check of the test bed\n")
		}
		status, answer, err := do(ctx, attempt.account, attempt.method, attempt.path, attempt.query, body)
		if err == nil && status != attempt.want {
			err = fmt.Errorf("status %d instead of %d: %s", status, attempt.want, answer)
		}
		if err != nil {
			return said.String(), fmt.Errorf("object store, %s %s by the %s account: %w", attempt.method, attempt.path, attempt.who, err)
		}
		fmt.Fprintf(&said, "ok %s %s by the %s account: %d\n", attempt.method, attempt.path, attempt.who, status)
	}
	return said.String(), nil
}
