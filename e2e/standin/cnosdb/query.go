package cnosdb

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// item is one column of a SELECT.
type item struct {
	call, column, as string
}

// query answers a SELECT; its first word is taken.
func (s session) query(p *parser) (answer, *failure) {
	if len(p.all) == 1 && p.all[0].kind == 'n' {
		return answer{columns: []string{"Int64(" + p.all[0].text + ")"}, rows: [][]any{{int64(p.all[0].text[0] - '0')}}}, nil
	}
	var items []item
	for {
		one, problem := p.item()
		if problem != nil {
			return answer{}, problem
		}
		items = append(items, one)
		if !p.sign(",") {
			break
		}
	}
	if !p.word("from") {
		return answer{}, syntax(p.sql)
	}
	name, problem := p.name()
	if problem != nil {
		return answer{}, problem
	}
	if p.sign(".") {
		return s.own(p, name)
	}
	db, t, problem := s.table(name)
	if problem != nil {
		return answer{}, problem
	}
	from, to, problem := p.window()
	if problem != nil {
		return answer{}, problem
	}
	var rows []*row
	for _, r := range t.inOrder() {
		if r.time >= from && r.time <= to && r.time >= db.horizon() {
			rows = append(rows, r)
		}
	}
	// Rows are by time and series already: what is asked for by the recorded conversation.
	if p.word("order", "by") {
		for {
			if _, problem := p.name(); problem != nil {
				return answer{}, problem
			}
			if !p.sign(",") {
				break
			}
		}
	}
	if p.word("limit") {
		number, problem := p.take("n")
		if problem != nil {
			return answer{}, problem
		}
		limit, _ := strconv.Atoi(number.text)
		rows = rows[:min(limit, len(rows))]
	}
	if problem := p.end(); problem != nil {
		return answer{}, problem
	}
	if items[0].call != "" && items[0].call != "*" {
		return aggregate(name, items, rows), nil
	}
	return project(name, t, items, rows)
}

func (p *parser) item() (item, *failure) {
	if p.sign("*") {
		return item{call: "*"}, nil
	}
	name, problem := p.name()
	if problem != nil {
		return item{}, problem
	}
	one := item{column: name}
	if p.sign("(") {
		one.call = name
		if !p.sign("*") {
			if one.column, problem = p.name(); problem != nil {
				return one, problem
			}
		}
		if !p.sign(")") {
			return one, syntax(p.sql)
		}
	}
	if p.word("as") {
		one.as, problem = p.name()
	}
	return one, problem
}

// window reads `WHERE time >= '…' AND time < '…'`, the bounds made inclusive.
func (p *parser) window() (int64, int64, *failure) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !p.word("where") {
		return from, to, nil
	}
	for {
		column, problem := p.name()
		if problem != nil || column != "time" {
			return 0, 0, syntax(p.sql)
		}
		sign, problem := p.take("s")
		if problem != nil {
			return 0, 0, problem
		}
		text, problem := p.take("t")
		if problem != nil {
			return 0, 0, problem
		}
		at, problem := readTime(text.text)
		if problem != nil {
			return 0, 0, problem
		}
		switch sign.text {
		case ">=":
			from = max(from, at)
		case "<":
			to = min(to, at-1)
		default:
			return 0, 0, syntax(p.sql)
		}
		if !p.word("and") {
			return from, to, nil
		}
	}
}

func readTime(text string) (int64, *failure) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fail("010001", "Datafusion: Arrow error: Parser error: Error parsing timestamp from '%s'", text)
	}
	return at.Unix()*1_000_000_000 + int64(at.Nanosecond()), nil
}

func aggregate(table string, items []item, rows []*row) answer {
	a := answer{rows: [][]any{nil}}
	for _, one := range items {
		var value any
		name := fmt.Sprintf("%s(%s.%s)", strings.ToUpper(one.call), table, one.column)
		switch {
		case one.call == "count":
			value, name = int64(len(rows)), "COUNT(UInt8(1))"
		case len(rows) > 0 && one.call == "min":
			value = instant(rows[0].time)
		case len(rows) > 0 && one.call == "max":
			value = instant(rows[len(rows)-1].time)
		}
		if one.as != "" {
			name = one.as
		}
		a.columns = append(a.columns, name)
		a.rows[0] = append(a.rows[0], value)
	}
	return a
}

func project(name string, t *table, items []item, rows []*row) (answer, *failure) {
	var a answer
	for _, one := range items {
		if one.call == "*" {
			for _, c := range t.columns {
				a.columns = append(a.columns, c.name)
			}
			continue
		}
		if t.find(one.column) == nil {
			var valid []string
			for _, c := range t.columns {
				valid = append(valid, name+"."+c.name)
			}
			return a, fail("010001", "Datafusion: Schema error: No field named %s. Valid fields are %s.", one.column, strings.Join(valid, ", "))
		}
		a.columns = append(a.columns, one.column)
	}
	for _, r := range rows {
		values := make([]any, len(a.columns))
		for at, column := range a.columns {
			if column == "time" {
				values[at] = instant(r.time)
			} else {
				values[at] = r.values[column]
			}
		}
		a.rows = append(a.rows, values)
	}
	return a, nil
}

// own answers from the server's own tables; schema is taken, the dot too.
func (s session) own(p *parser, schema string) (answer, *failure) {
	name, problem := p.name()
	if problem != nil {
		return answer{}, problem
	}
	switch schema + "." + name {
	case "cluster_schema.tenants":
		a := answer{columns: []string{"tenant_name", "tenant_options"}}
		for _, name := range sorted(s.server.tenants) {
			a.rows = append(a.rows, []any{name, fmt.Sprintf(`{"comment":%q,"limiter_config":null,"drop_after":null,"tenant_is_hidden":false}`, s.server.tenants[name].comment)})
		}
		return a, p.end()
	case "information_schema.tables":
		a := answer{columns: []string{"table_database", "table_engine", "table_name", "table_options", "table_tenant", "table_type"}}
		for _, db := range sorted(s.tenant.databases) {
			for _, table := range sorted(s.tenant.databases[db].tables) {
				a.rows = append(a.rows, []any{db, "TSKV", table, "TODO", s.tenantName, "TABLE"})
			}
		}
		return a, p.end()
	case "information_schema.columns":
		if !p.word("where", "table_name") || !p.sign("=") {
			return answer{}, syntax(p.sql)
		}
		wanted, problem := p.take("t")
		if problem != nil {
			return answer{}, problem
		}
		a := answer{columns: []string{"column_default", "column_name", "column_type", "compression_codec", "data_type", "database_name", "is_nullable", "ordinal_position", "table_name", "tenant_name"}}
		for _, db := range sorted(s.tenant.databases) {
			if t := s.tenant.databases[db].tables[wanted.text]; t != nil {
				for at, c := range t.columns {
					a.rows = append(a.rows, []any{"NULL", c.name, c.kind, c.codec, c.sqlType, db, c.kind != "TIME", at, wanted.text, s.tenantName})
				}
			}
		}
		return a, p.end()
	}
	return answer{}, syntax(p.sql)
}

// insert takes one row.
func (s session) insert(p *parser) *failure {
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	db, t, problem := s.table(name)
	if problem != nil {
		return problem
	}
	var columns []string
	for ok := p.sign("("); ok; ok = p.sign(",") {
		column, problem := p.name()
		if problem != nil {
			return problem
		}
		if t.find(column) == nil {
			return fail("010021", "Column %s not found", column)
		}
		columns = append(columns, column)
	}
	if !p.sign(")") || !p.word("values") {
		return syntax(p.sql)
	}
	values, at, next := map[string]any{}, int64(0), 0
	for ok := p.sign("("); ok; ok = p.sign(",") {
		if next >= len(columns) {
			return syntax(p.sql)
		}
		c := t.find(columns[next])
		next++
		value, problem := p.value(c)
		if problem != nil {
			return problem
		}
		if c.kind == "TIME" {
			at = value.(int64)
		} else {
			values[c.name] = value
		}
	}
	if !p.sign(")") || next != len(columns) {
		return syntax(p.sql)
	}
	at -= ((at % db.unit()) + db.unit()) % db.unit()
	if at >= db.horizon() {
		t.put(at, values)
	}
	return p.end()
}

// value reads a literal for a column.
func (p *parser) value(c *column) (any, *failure) {
	if p.word("null") {
		return nil, nil
	}
	if p.word("cast") {
		if !p.sign("(") {
			return nil, syntax(p.sql)
		}
		text, problem := p.take("t")
		if problem != nil || !p.word("as", "bigint") || !p.sign(")") {
			return nil, syntax(p.sql)
		}
		number, err := strconv.ParseInt(text.text, 10, 64)
		if err != nil {
			return nil, syntax(p.sql)
		}
		return number, nil
	}
	sign := ""
	if p.sign("-") {
		sign = "-"
	}
	one, problem := p.take("nwt")
	if problem != nil {
		return nil, problem
	}
	text := sign + one.text
	var value any
	var err error
	switch {
	case c.kind == "TIME" && one.kind == 't':
		return readTime(text)
	case one.kind == 't' && (c.kind == "TAG" || c.sqlType == "STRING" || strings.HasPrefix(c.sqlType, "GEOMETRY")):
		value = text
	case one.kind == 'n' && c.sqlType == "BIGINT":
		value, err = strconv.ParseInt(text, 10, 64)
	case one.kind == 'n' && c.sqlType == "BIGINT UNSIGNED":
		value, err = strconv.ParseUint(text, 10, 64)
	case one.kind == 'n' && c.sqlType == "DOUBLE":
		value, err = strconv.ParseFloat(text, 64)
	case one.kind == 'w' && c.sqlType == "BOOLEAN":
		value, err = strconv.ParseBool(text)
	default:
		return nil, syntax(p.sql)
	}
	if err != nil {
		return nil, syntax(p.sql)
	}
	return value, nil
}
