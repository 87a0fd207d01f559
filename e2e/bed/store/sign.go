package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/layout"
)

// do sends a request signed with AWS signature version 4. The query must be in
// its canonical form: sorted, and with "=" behind every name.
//
// It is done by hand because the bed needs three requests, and an SDK is large.
func do(ctx context.Context, account layout.Account, method, path, query string, body []byte) (int, string, error) {
	url := layout.StoreHTTP + path
	if query != "" {
		url += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	bodyHash := hash(body)
	headers := []string{"host:" + request.URL.Host, "x-amz-content-sha256:" + bodyHash, "x-amz-date:" + stamp}
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{method, path, query, strings.Join(headers, "\n") + "\n", signed, bodyHash}, "\n")
	scope := day + "/" + layout.StoreRegion + "/s3/aws4_request"
	key := []byte("AWS4" + account.SecretKey)
	for _, part := range []string{day, layout.StoreRegion, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	signature := mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hash([]byte(canonical))}, "\n"))
	request.Header.Set("X-Amz-Content-Sha256", bodyHash)
	request.Header.Set("X-Amz-Date", stamp)
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		account.AccessKey, scope, signed, hex.EncodeToString(signature)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
