// Package wait waits for conditions, so that nothing has to sleep and hope.
package wait

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const interval = 100 * time.Millisecond

// For calls check until it returns nil, and gives up after the timeout with the
// last reason that check gave.
func For(ctx context.Context, what string, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, timeout, err)
		case <-tick.C:
		}
	}
}

// HTTP is a check that a URL answers with a status below 400.
func HTTP(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		// A server that accepts but does not answer must not use up the whole deadline.
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode >= 400 {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
