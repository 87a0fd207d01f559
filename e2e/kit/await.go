package kit

import (
	"context"
	"fmt"
	"time"
)

// Await asks until a condition holds. The condition says what it saw, for the error of a time-out.
func Await(ctx context.Context, what string, limit time.Duration, holds func() (done bool, seen string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		done, seen, err := holds()
		switch {
		case err == nil && done:
			return nil
		case err != nil:
			last = err.Error()
		default:
			last = seen
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s; last seen: %s", what, limit, last)
		case <-tick.C:
		}
	}
}
