package cnosdb

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// line is one record of line protocol, read as 2.4.2 reads it, with its quirks: a name or tag that
// ends in a backslash swallows what follows, a backslash before a quote within a string ends the
// string too early, an empty tag is an error, and newlines don't end names or tags.
type line struct {
	table  string
	tags   map[string]any
	fields map[string]any
	time   int64
	timed  bool
}

var badLine = fail("040001", "Error parsing message: invalid line protocol syntax")

// session.write takes line protocol; all of it or nothing.
func (s session) write(body, precision string) *failure {
	db := s.tenant.databases[s.database]
	if db == nil {
		return fail("030017", "Database not found: %q", s.database)
	}
	if !utf8.ValidString(body) {
		return fail("040015", "Invalid utf-8 sequence")
	}
	unit := map[string]int64{"": 1, "ns": 1, "us": 1000, "ms": 1_000_000}[precision]
	var lines []line
	for rest := body; ; {
		rest = strings.TrimLeft(rest, " \t\r\n\f")
		if rest == "" {
			break
		}
		one, end, problem := readLine(rest)
		if problem != nil {
			return problem
		}
		lines = append(lines, one)
		rest = rest[end:]
	}
	for _, l := range lines {
		if problem := db.check(l); problem != nil {
			return problem
		}
	}
	for _, l := range lines {
		db.take(l, unit)
	}
	return nil
}

// typeOf is the column type that a value makes, or must find.
func typeOf(value any) string {
	switch value.(type) {
	case int64:
		return "BIGINT"
	case uint64:
		return "BIGINT UNSIGNED"
	case float64:
		return "DOUBLE"
	case bool:
		return "BOOLEAN"
	}
	return "STRING"
}

func (d *database) check(l line) *failure {
	t := d.tables[l.table]
	if t == nil {
		return nil
	}
	for name, value := range l.fields {
		c := t.find(name)
		if c == nil {
			continue
		}
		geometry := strings.HasPrefix(c.sqlType, "GEOMETRY") && typeOf(value) == "STRING"
		if c.kind != "FIELD" || (c.sqlType != typeOf(value) && !geometry) {
			// The code of the real server is not recorded.
			return fail("020000", "column %s of table %s is %s %s, the record has %s", name, l.table, c.kind, c.sqlType, typeOf(value))
		}
	}
	for name := range l.tags {
		if c := t.find(name); c != nil && c.kind != "TAG" {
			return fail("020000", "column %s of table %s is no tag", name, l.table)
		}
	}
	return nil
}

func (d *database) take(l line, unit int64) {
	t := d.tables[l.table]
	if t == nil {
		t = newTable(d)
		d.tables[l.table] = t
	}
	values := map[string]any{}
	for _, name := range sorted(l.tags) {
		if t.find(name) == nil {
			t.columns = append(t.columns, column{name, "TAG", "STRING", "DEFAULT"})
		}
		values[name] = l.tags[name]
	}
	for _, name := range sorted(l.fields) {
		if t.find(name) == nil {
			t.columns = append(t.columns, column{name, "FIELD", typeOf(l.fields[name]), "DEFAULT"})
		}
		values[name] = l.fields[name]
	}
	at := l.time * unit
	at -= ((at % d.unit()) + d.unit()) % d.unit()
	if at >= d.horizon() {
		t.put(at, values)
	}
}

// readLine reads the record at the front of text, and says where it ends.
func readLine(text string) (line, int, *failure) {
	l := line{tags: map[string]any{}, fields: map[string]any{}}
	if text[0] == ',' {
		return l, 0, badLine
	}
	end := unescapedAt(text, " ,")
	if end < 0 {
		return l, 0, badLine
	}
	l.table = unescape(text[:end], " ,")
	at := end + 1
	for at < len(text) && text[at-1] != ' ' {
		key, next := piece(text[at:], "=")
		if next < 0 || at+next+1 >= len(text) {
			return l, 0, badLine
		}
		at += next + 1
		value, next := piece(text[at:], " ,")
		if next < 0 {
			return l, 0, badLine
		}
		at += next + 1
		l.tags[key] = value
	}
	for at < len(text) && text[at] == ' ' {
		at++
	}
	for {
		if at >= len(text) {
			return l, 0, badLine
		}
		key, next := piece(text[at:], "=")
		if next < 0 || at+next+1 >= len(text) {
			return l, 0, badLine
		}
		at += next + 1
		end := valueEnd(text[at:])
		value, ok := readValue(text[at : at+end])
		if !ok {
			return l, 0, fail("040001", "Error parsing message: invalid field value: '%s'", text[at:at+end])
		}
		l.fields[key] = value
		at += end + 1
		if at >= len(text) || strings.IndexByte(" \n\r", text[at-1]) >= 0 {
			break
		}
	}
	if at >= len(text) || text[at-1] != ' ' {
		return l, min(at, len(text)), nil
	}
	for at < len(text) && text[at] == ' ' {
		at++
	}
	digits := at
	for digits < len(text) && (text[digits] == '-' && digits == at || text[digits] >= '0' && text[digits] <= '9') {
		digits++
	}
	number, err := strconv.ParseInt(text[at:digits], 10, 64)
	if err != nil {
		return l, 0, badLine
	}
	l.time, l.timed = number, true
	return l, digits, nil
}

// unescapedAt is where the first of stops is, after the first byte, without a backslash before it.
func unescapedAt(text, stops string) int {
	for at := 1; at < len(text); at++ {
		if strings.IndexByte(stops, text[at]) >= 0 && text[at-1] != '\\' {
			return at
		}
	}
	return -1
}

// piece is a key or a tag's value, and where it ends; negative where it is none.
func piece(text, stops string) (string, int) {
	if text == "" || strings.IndexByte("= ,", text[0]) >= 0 {
		return "", -1
	}
	end := unescapedAt(text, stops)
	if end < 0 {
		return "", -1
	}
	for at := 1; at < end; at++ {
		if strings.IndexByte(", =", text[at]) >= 0 && text[at-1] != '\\' {
			return "", -1
		}
	}
	return unescape(text[:end], ", ="), end
}

func unescape(text, special string) string {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '\\' && at+1 < len(text) && strings.IndexByte(special, text[at+1]) >= 0 {
			continue
		}
		out.WriteByte(text[at])
	}
	return out.String()
}

// valueEnd is where a field's value ends.
func valueEnd(text string) int {
	quoted := text[0] == '"'
	second := false // the byte before is the second of an escape, by the server's reading
	for at := 1; at < len(text); at++ {
		before, now := text[at-1], text[at]
		if now == '"' && (before != '\\' || second) {
			quoted, second = !quoted, false
			continue
		}
		if quoted {
			second = before == '\\' && (now == '"' || now == '\\')
			continue
		}
		if strings.IndexByte(" ,\n\r", now) >= 0 {
			return at
		}
	}
	return len(text)
}

func readValue(text string) (any, bool) {
	if text == "" {
		return nil, false
	}
	switch text {
	case "t", "T", "true", "True", "TRUE":
		return true, true
	case "f", "F", "false", "False", "FALSE":
		return false, true
	}
	last := len(text) - 1
	switch {
	case text[0] == '"':
		if last < 1 || text[last] != '"' {
			return nil, false
		}
		return readString(text[1:last]), true
	case text[last] == 'i':
		number, err := strconv.ParseInt(text[:last], 10, 64)
		return number, err == nil
	case text[last] == 'u':
		number, err := strconv.ParseUint(text[:last], 10, 64)
		return number, err == nil
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil
}

func readString(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '\\' && at+1 < len(text) && (text[at+1] == '"' || text[at+1] == '\\') {
			at++
		}
		out.WriteByte(text[at])
	}
	return out.String()
}
