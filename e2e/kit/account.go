package kit

import (
	"context"
	"sync"
	"time"
)

// Account keeps which rows a server acknowledged, and when. Rows are numbered from 0 without a gap.
type Account struct {
	mutex sync.Mutex
	acks  []Ack
}

// Ack is a run of rows that the server acknowledged in one answer.
type Ack struct {
	First, Next int
	At          time.Time
}

// Acked notes that rows were acknowledged just now.
func (a *Account) Acked(first, next int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.acks = append(a.acks, Ack{first, next, time.Now()})
}

// AckedBefore is the number of rows that were acknowledged before a time.
func (a *Account) AckedBefore(at time.Time) int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	count := 0
	for _, ack := range a.acks {
		if ack.At.Before(at) && ack.Next > count {
			count = ack.Next
		}
	}
	return count
}

// Follow writes rows from `first` on, a batch each interval, until the context ends. A batch that was
// refused is written again; `write` notes what was acknowledged.
func Follow(ctx context.Context, first int, interval time.Duration, batch int, write func(first, next int) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if write(first, first+batch) == nil {
				first += batch
			}
		}
	}
}
