// Command probe runs in a pod and says what can be reached from there. Each
// argument is a host name to resolve, or a URL to get. A URL whose answer
// should not be 2xx is written "STATUS=URL". It exits with 1 if anything fails.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	failed := false
	for _, target := range os.Args[1:] {
		started := time.Now()
		said, err := try(target)
		took := time.Since(started).Round(time.Millisecond)
		if err != nil {
			failed = true
			fmt.Printf("FAILED %s: %v (%s)\n", target, err, took)
			continue
		}
		fmt.Printf("ok %s: %s (%s)\n", target, said, took)
	}
	if failed {
		os.Exit(1)
	}
}

func try(target string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !strings.Contains(target, "://") {
		addresses, err := net.DefaultResolver.LookupHost(ctx, target)
		return strings.Join(addresses, " "), err
	}
	want := ""
	if status, url, ok := strings.Cut(target, "="); ok && len(status) == 3 {
		want, target = status, url
	}
	// The probe's image has no certificates, so those to trust come by the environment.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(os.Getenv("CA")))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if want == "" && response.StatusCode/100 != 2 || want != "" && !strings.HasPrefix(response.Status, want) {
		return "", fmt.Errorf("unexpected status %s", response.Status)
	}
	return response.Status, nil
}
