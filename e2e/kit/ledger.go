package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Ledger writes rows whose content follows from their number, and keeps account of those that
// the server acknowledged and when.
type Ledger struct {
	Influx   Influx
	Database string
	// Start is the time of row 0; row n lies n*Step later.
	Start time.Time
	Step  time.Duration

	mutex sync.Mutex
	acks  []Ack
}

// Ack is a run of rows that the server acknowledged in one answer.
type Ack struct {
	First, Next int
	At          time.Time
}

const ledgerSeries = 50

// line is row n in line protocol: every type of field, two tags.
func (l *Ledger) line(n int) string {
	return fmt.Sprintf("telemetry,device=d%03d,site=plant\\ %d value=%s,seq=%di,ok=%t,note=\"row %d, \\\"quoted\\\"\" %d\n",
		n%ledgerSeries, n%3, strconv.FormatFloat(value(n), 'g', -1, 64), n, n%2 == 0, n, l.timeOf(n))
}

func value(n int) float64 { return float64(n)*0.1 + 1.0/float64(n+1) }

func (l *Ledger) timeOf(n int) int64 { return l.Start.Add(time.Duration(n) * l.Step).UnixNano() }

// Load writes rows [0, count) as history.
func (l *Ledger) Load(ctx context.Context, count int, progress func(done int)) error {
	const batch = 10_000
	for first := 0; first < count; first += batch {
		next := min(first+batch, count)
		if err := l.write(ctx, first, next); err != nil {
			return err
		}
		progress(next)
	}
	return nil
}

// Follow writes rows from `first` on at their own times, a batch each interval, until the context
// ends or the server is gone; only acknowledged rows count.
func (l *Ledger) Follow(ctx context.Context, first int, interval time.Duration, batch int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if l.write(ctx, first, first+batch) == nil {
				first += batch
			}
		}
	}
}

func (l *Ledger) write(ctx context.Context, first, next int) error {
	var lines strings.Builder
	for n := first; n < next; n++ {
		lines.WriteString(l.line(n))
	}
	if err := l.Influx.Write(ctx, l.Database, lines.String()); err != nil {
		return err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.acks = append(l.acks, Ack{first, next, time.Now()})
	return nil
}

// AckedBefore is the number of rows that were acknowledged before a time; rows count from 0
// without a gap.
func (l *Ledger) AckedBefore(at time.Time) int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	count := 0
	for _, ack := range l.acks {
		if ack.At.Before(at) && ack.Next > count {
			count = ack.Next
		}
	}
	return count
}

// Compare reads all rows from another server and compares each with what was written. Rows
// [0, must) have to be there; later ones may be, and must be equal too.
func (l *Ledger) Compare(ctx context.Context, other Influx, database string, must int) (points int, err error) {
	seen := make([]bool, must)
	query := `SELECT * FROM "telemetry" GROUP BY *`
	err = other.Query(ctx, database, query, func(series Series) error {
		at := map[string]int{}
		for index, column := range series.Columns {
			at[column] = index
		}
		for _, row := range series.Values {
			n, err := l.check(series.Tags, at, row)
			if err != nil {
				return err
			}
			if n < must {
				seen[n] = true
			}
			points++
		}
		return nil
	})
	if err != nil {
		return points, err
	}
	missing, example := 0, -1
	for n, there := range seen {
		if !there {
			missing++
			example = n
		}
	}
	if missing > 0 {
		return points, fmt.Errorf("%d of %d acknowledged rows are not in the standby, row %d for one", missing, must, example)
	}
	return points, nil
}

func (l *Ledger) check(tags map[string]string, at map[string]int, row []any) (int, error) {
	text := func(column string) string {
		index, ok := at[column]
		if !ok || index >= len(row) {
			return ""
		}
		switch value := row[index].(type) {
		case json.Number:
			return value.String()
		case string:
			return value
		case bool:
			return strconv.FormatBool(value)
		default:
			return fmt.Sprint(value)
		}
	}
	n, err := strconv.Atoi(text("seq"))
	if err != nil {
		return 0, fmt.Errorf("a row has no seq: %v", row)
	}
	got, err := strconv.ParseFloat(text("value"), 64)
	if err != nil || got != value(n) {
		return n, fmt.Errorf("row %d has the value %q and not %v", n, text("value"), value(n))
	}
	expected := map[string]string{
		"time":   strconv.FormatInt(l.timeOf(n), 10),
		"ok":     strconv.FormatBool(n%2 == 0),
		"note":   fmt.Sprintf("row %d, \"quoted\"", n),
		"device": fmt.Sprintf("d%03d", n%ledgerSeries),
		"site":   fmt.Sprintf("plant %d", n%3),
	}
	for column, want := range expected {
		have := text(column)
		if column == "device" || column == "site" {
			have = tags[column]
		}
		if have != want {
			return n, fmt.Errorf("row %d has %s %q and not %q", n, column, have, want)
		}
	}
	return n, nil
}
