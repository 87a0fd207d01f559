package cnosdb

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

type tenant struct {
	comment   string
	databases map[string]*database
}

func newTenant(comment string) *tenant {
	t := &tenant{comment: comment, databases: map[string]*database{}}
	for _, own := range []string{"cluster_schema", "usage_schema"} {
		db := newDatabase()
		db.options["max_memcache_size"], db.options["memcache_partitions"] = "2 MiB", "16"
		t.databases[own] = db
	}
	t.databases["public"] = newDatabase()
	return t
}

func sorted[V any](all map[string]V) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// optionNames are in the order of the vendor's dump.
var optionNames = []string{"precision", "max_memcache_size", "memcache_partitions", "wal_max_file_size", "wal_sync", "strict_write", "max_cache_readers", "ttl", "shard", "replica", "vnode_duration"}

// plainOptions are written without quotes in DDL, and as numbers in JSON.
var plainOptions = map[string]bool{"memcache_partitions": true, "max_cache_readers": true, "shard": true, "replica": true}

type database struct {
	options map[string]string
	tables  map[string]*table
}

func newDatabase() *database {
	return &database{tables: map[string]*table{}, options: map[string]string{
		"precision": "NS", "max_memcache_size": "128 MiB", "memcache_partitions": "2", "wal_max_file_size": "1 GiB",
		"wal_sync": "false", "strict_write": "false", "max_cache_readers": "32", "ttl": "INF", "shard": "1",
		"replica": "1", "vnode_duration": "1year",
	}}
}

func (d *database) ddl() string {
	var all []string
	for _, name := range optionNames {
		value := d.options[name]
		if !plainOptions[name] {
			value = "'" + value + "'"
		}
		all = append(all, name+" "+value)
	}
	return strings.Join(all, " ")
}

// unit is how many nanoseconds one unit of the database's times has.
func (d *database) unit() int64 {
	return map[string]int64{"MS": 1_000_000, "US": 1000, "NS": 1}[d.options["precision"]]
}

// horizon is the first time that is kept, in nanoseconds.
func (d *database) horizon() int64 {
	seconds, ok := parseSpan(d.options["ttl"])
	if !ok || seconds > 1<<33 {
		return -1 << 63
	}
	return time.Now().UnixNano() - seconds*1_000_000_000
}

type column struct {
	name, kind, sqlType, codec string
}

type table struct {
	columns []column
	rows    map[string]*row
	ordered []*row // the rows in order, while none was added
}

type row struct {
	time   int64 // nanoseconds
	values map[string]any
}

func (t *table) find(name string) *column {
	for at := range t.columns {
		if t.columns[at].name == name {
			return &t.columns[at]
		}
	}
	return nil
}

func (t *table) ddl() string {
	var fields, tags []string
	for _, c := range t.columns {
		switch c.kind {
		case "FIELD":
			text := fmt.Sprintf("%q %s", c.name, c.sqlType)
			if c.codec != "DEFAULT" {
				text += " CODEC(" + c.codec + ")"
			}
			fields = append(fields, text)
		case "TAG":
			tags = append(tags, fmt.Sprintf("%q", c.name))
		}
	}
	return strings.Join(append(fields, "tags ("+strings.Join(tags, ", ")+")"), ", ")
}

// put writes one row: same series and time overwrite field by field.
func (t *table) put(at int64, values map[string]any) {
	var key strings.Builder
	fmt.Fprint(&key, at)
	for _, name := range sorted(values) {
		if c := t.find(name); c != nil && c.kind == "TAG" && values[name] != nil {
			fmt.Fprintf(&key, ",%q=%q", name, values[name])
		}
	}
	have := t.rows[key.String()]
	if have == nil {
		have = &row{time: at, values: map[string]any{}}
		t.rows[key.String()] = have
		t.ordered = nil
	}
	for name, value := range values {
		if value != nil {
			have.values[name] = value
		}
	}
}

// inOrder are the rows by time, then series.
func (t *table) inOrder() []*row {
	if t.ordered == nil {
		for _, key := range sorted(t.rows) {
			t.ordered = append(t.ordered, t.rows[key])
		}
		sort.SliceStable(t.ordered, func(a, b int) bool { return t.ordered[a].time < t.ordered[b].time })
	}
	return t.ordered
}

var spans = []struct {
	one, many, short string
	seconds          int64
}{
	{"year", "years", "y", 31_557_600}, {"month", "months", "M", 2_630_016}, {"day", "days", "d", 86_400},
	{"h", "h", "h", 3600}, {"m", "m", "m", 60}, {"s", "s", "s", 1},
}

// formatSpan writes a span of time as the server does.
func formatSpan(seconds int64) string {
	var all []string
	for _, unit := range spans {
		count := seconds / unit.seconds
		seconds %= unit.seconds
		name := unit.many
		if count == 1 {
			name = unit.one
		}
		if count > 0 {
			all = append(all, strconv.FormatInt(count, 10)+name)
		}
	}
	return strings.Join(all, " ")
}

// parseSpan reads one; false for one without end.
func parseSpan(text string) (int64, bool) {
	var total int64
	for _, word := range strings.Fields(text) {
		at := strings.IndexFunc(word, func(c rune) bool { return c < '0' || c > '9' })
		if at < 1 {
			return 0, false
		}
		count, err := strconv.ParseInt(word[:at], 10, 64)
		known := false
		for _, unit := range spans {
			if name := word[at:]; name == unit.one || name == unit.many || name == unit.short {
				total += count * unit.seconds
				known = true
			}
		}
		if err != nil || !known {
			return 0, false
		}
	}
	return total, total > 0
}
