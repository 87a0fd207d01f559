package kit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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

	Account
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
	Follow(ctx, first, interval, batch, func(first, next int) error { return l.write(ctx, first, next) })
}

func (l *Ledger) write(ctx context.Context, first, next int) error {
	var lines strings.Builder
	for n := first; n < next; n++ {
		lines.WriteString(l.line(n))
	}
	if err := l.Influx.Write(ctx, l.Database, lines.String()); err != nil {
		return err
	}
	l.Acked(first, next)
	return nil
}

// Compare reads all rows from another server and compares each with what was written. Rows
// [0, must) have to be there, whole. Later ones were not acknowledged when the backup began: they
// may be missing, and as InfluxDB shows a write that is under way a field at a time, so may fields
// of theirs. What is there of them must be equal too.
func (l *Ledger) Compare(ctx context.Context, other Influx, database string, must int) (points int, err error) {
	seen := make([]bool, must)
	query := `SELECT * FROM "telemetry" GROUP BY *`
	err = other.Query(ctx, database, query, func(series Series) error {
		at := map[string]int{}
		for index, column := range series.Columns {
			at[column] = index
		}
		for _, values := range series.Values {
			n, err := l.check(row{series.Tags, at, values}, must)
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

// row is one row of an answer; at tells where a column is.
type row struct {
	tags   map[string]string
	at     map[string]int
	values []any
}

// text is a column as text, and whether the row has it.
func (r row) text(column string) (string, bool) {
	if tag, ok := r.tags[column]; ok {
		return tag, true
	}
	index, ok := r.at[column]
	if !ok || index >= len(r.values) || r.values[index] == nil {
		return "", false
	}
	return fmt.Sprint(r.values[index]), true
}

// check compares a row, whose number follows from its time, with what was written.
func (l *Ledger) check(r row, must int) (int, error) {
	text, _ := r.text("time")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a row has no time: %v", r.values)
	}
	n := int(time.Duration(at-l.Start.UnixNano()) / l.Step)
	if n < 0 || l.timeOf(n) != at {
		return 0, fmt.Errorf("nobody wrote a row at %d: %v", at, r.values)
	}
	for column, want := range map[string]string{
		"device": fmt.Sprintf("d%03d", n%ledgerSeries),
		"site":   fmt.Sprintf("plant %d", n%3),
		"value":  strconv.FormatFloat(value(n), 'g', -1, 64),
		"seq":    strconv.Itoa(n),
		"ok":     strconv.FormatBool(n%2 == 0),
		"note":   fmt.Sprintf("row %d, \"quoted\"", n),
	} {
		have, there := r.text(column)
		switch {
		case !there && n >= must:
		case !there:
			return n, fmt.Errorf("row %d has no %s", n, column)
		case column == "value" && sameFloat(have, value(n)):
		case have != want:
			return n, fmt.Errorf("row %d has %s %q and not %q", n, column, have, want)
		}
	}
	return n, nil
}

// sameFloat holds floats to their value: their text has more than one form.
func sameFloat(text string, want float64) bool {
	got, err := strconv.ParseFloat(text, 64)
	return err == nil && got == want
}
