package cnosdb

import (
	"fmt"
	"strings"
)

// session is one request.
type session struct {
	server     *Server
	tenant     *tenant
	tenantName string
	database   string
}

// execute runs one statement.
func (s session) execute(sql string) (answer, *failure) {
	all, problem := tokens(sql)
	if problem != nil {
		return answer{}, problem
	}
	statements := 1
	for at, one := range all {
		if one == (token{'s', ";"}) && at < len(all)-1 {
			statements++
		}
	}
	if statements > 1 {
		return answer{}, fail("010013", "Multi-statement not allow, found num:%d, sql:%s", statements, sql)
	}
	if len(all) > 0 && all[len(all)-1] == (token{'s', ";"}) {
		all = all[:len(all)-1]
	}
	p := &parser{sql, all}
	switch {
	case p.word("show", "databases"):
		return list("database_name", sorted(s.tenant.databases)), p.end()
	case p.word("show", "tables"):
		db, problem := s.home()
		if problem != nil {
			return answer{}, problem
		}
		return list("table_name", sorted(db.tables)), p.end()
	case p.word("describe", "table"):
		return s.describeTable(p)
	case p.word("describe", "database"):
		return s.describeDatabase(p)
	case p.word("create", "tenant"):
		return answer{}, s.createTenant(p)
	case p.word("create", "database"):
		return answer{}, s.createDatabase(p)
	case p.word("create", "table"):
		return answer{}, s.createTable(p)
	case p.word("alter", "table"):
		return answer{}, s.alterTable(p)
	case p.word("drop", "table"):
		return answer{}, s.dropTable(p)
	case p.word("drop", "database"):
		return answer{}, s.dropDatabase(p)
	case p.word("copy", "into"):
		return s.copy(p)
	case p.word("insert", "into"):
		return answer{}, s.insert(p)
	case p.word("select"):
		return s.query(p)
	}
	return answer{}, syntax(sql)
}

func list(column string, names []string) answer {
	a := answer{columns: []string{column}}
	for _, name := range names {
		a.rows = append(a.rows, []any{name})
	}
	return a
}

func (s session) home() (*database, *failure) {
	db := s.tenant.databases[s.database]
	if db == nil {
		return nil, fail("030017", "Database not found: %q", s.database)
	}
	return db, nil
}

// table finds one for a statement that plans a query.
func (s session) table(name string) (*database, *table, *failure) {
	db := s.tenant.databases[s.database]
	if db == nil || db.tables[name] == nil {
		return nil, nil, fail("010001", "Datafusion: Error during planning: Table not found, tenant: %s db: %s, table: %s", s.tenantName, s.database, name)
	}
	return db, db.tables[name], nil
}

func timeType(d *database) string {
	return map[string]string{"MS": "TIMESTAMP(MILLISECOND)", "US": "TIMESTAMP(MICROSECOND)", "NS": "TIMESTAMP(NANOSECOND)"}[d.options["precision"]]
}

func newTable(d *database) *table {
	return &table{rows: map[string]*row{}, columns: []column{{"time", "TIME", timeType(d), "DEFAULT"}}}
}

func (s session) describeTable(p *parser) (answer, *failure) {
	name, problem := p.name()
	if problem != nil {
		return answer{}, problem
	}
	db := s.tenant.databases[s.database]
	if db == nil || db.tables[name] == nil {
		return answer{}, fail("030019", `Table not found: "%s.%s.%s"`, s.tenantName, s.database, name)
	}
	a := answer{columns: []string{"column_name", "column_type", "compression_codec", "data_type"}}
	for _, c := range db.tables[name].columns {
		a.rows = append(a.rows, []any{c.name, c.kind, c.codec, c.sqlType})
	}
	return a, p.end()
}

func (s session) describeDatabase(p *parser) (answer, *failure) {
	name, problem := p.name()
	if problem != nil {
		return answer{}, problem
	}
	db := s.tenant.databases[name]
	if db == nil {
		return answer{}, fail("030017", "Database not found: %q", name)
	}
	a := answer{columns: optionNames, rows: [][]any{nil}}
	for _, option := range optionNames {
		var value any = db.options[option]
		switch {
		case plainOptions[option]:
			var number uint64
			_, _ = fmt.Sscan(db.options[option], &number)
			value = number
		case value == "true" || value == "false":
			value = value == "true"
		}
		a.rows[0] = append(a.rows[0], value)
	}
	return a, p.end()
}

func (s session) createTenant(p *parser) *failure {
	exists := p.word("if", "not", "exists")
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	if s.server.tenants[name] == nil {
		s.server.tenants[name] = newTenant("")
	} else if !exists {
		return fail("010016", "Auth error: The tenant already exists")
	}
	return p.end()
}

func (s session) createDatabase(p *parser) *failure {
	exists := p.word("if", "not", "exists")
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	db := newDatabase()
	if p.word("with") {
		for len(p.all) > 0 {
			key, problem := p.take("w")
			if problem != nil {
				return problem
			}
			value, problem := p.take("nt")
			if problem != nil {
				return problem
			}
			option := strings.ToLower(key.text)
			if _, known := db.options[option]; !known || plainOptions[option] != (value.kind == 'n') {
				return syntax(p.sql)
			}
			if option == "ttl" || option == "vnode_duration" {
				if seconds, ok := parseSpan(value.text); ok {
					value.text = formatSpan(seconds)
				} else if !strings.EqualFold(value.text, "INF") {
					return syntax(p.sql)
				}
			}
			if option == "precision" {
				value.text = strings.ToUpper(value.text)
			}
			db.options[option] = value.text
		}
	}
	if s.tenant.databases[name] == nil {
		s.tenant.databases[name] = db
	} else if !exists {
		return fail("030018", "Database %q already exists", name)
	}
	return p.end()
}

var fieldTypes = [][]string{{"BIGINT", "UNSIGNED"}, {"BIGINT"}, {"DOUBLE"}, {"BOOLEAN"}, {"STRING"}}

func (p *parser) field() (column, *failure) {
	name, problem := p.name()
	if problem != nil {
		return column{}, problem
	}
	c := column{name: name, kind: "FIELD", codec: "DEFAULT"}
	for _, words := range fieldTypes {
		if p.word(words...) {
			c.sqlType = strings.Join(words, " ")
			break
		}
	}
	if c.sqlType == "" {
		if !p.word("geometry") || !p.sign("(") {
			return c, syntax(p.sql)
		}
		shape, _ := p.take("w")
		if !p.sign(",") {
			return c, syntax(p.sql)
		}
		system, problem := p.take("n")
		if problem != nil || !p.sign(")") {
			return c, syntax(p.sql)
		}
		c.sqlType = fmt.Sprintf("GEOMETRY(%s, %s)", strings.ToUpper(shape.text), system.text)
	}
	if p.word("codec") {
		if !p.sign("(") {
			return c, syntax(p.sql)
		}
		codec, problem := p.take("w")
		if problem != nil || !p.sign(")") {
			return c, syntax(p.sql)
		}
		c.codec = strings.ToUpper(codec.text)
	}
	return c, nil
}

func (s session) createTable(p *parser) *failure {
	exists := p.word("if", "not", "exists")
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	db, problem := s.home()
	if problem != nil {
		return problem
	}
	t := newTable(db)
	var fields []column
	if !p.sign("(") {
		return syntax(p.sql)
	}
	for {
		if p.word("tags") {
			if !p.sign("(") {
				return syntax(p.sql)
			}
			for {
				tag, problem := p.name()
				if problem != nil {
					return problem
				}
				t.columns = append(t.columns, column{tag, "TAG", "STRING", "DEFAULT"})
				if !p.sign(",") {
					break
				}
			}
			if !p.sign(")") {
				return syntax(p.sql)
			}
		} else {
			field, problem := p.field()
			if problem != nil {
				return problem
			}
			fields = append(fields, field)
		}
		if !p.sign(",") {
			break
		}
	}
	if !p.sign(")") {
		return syntax(p.sql)
	}
	t.columns = append(t.columns, fields...)
	if db.tables[name] == nil {
		db.tables[name] = t
	} else if !exists {
		return fail("030020", "Table %s already exists.", name)
	}
	return p.end()
}

func (s session) alterTable(p *parser) *failure {
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	_, t, problem := s.table(name)
	if problem != nil {
		return problem
	}
	if !p.word("add") {
		return syntax(p.sql)
	}
	var c column
	switch {
	case p.word("field"):
		c, problem = p.field()
	case p.word("tag"):
		c = column{kind: "TAG", sqlType: "STRING", codec: "DEFAULT"}
		c.name, problem = p.name()
	default:
		return syntax(p.sql)
	}
	if problem == nil && t.find(c.name) != nil {
		problem = fail("010001", "Column %s already exists", c.name)
	}
	if problem != nil {
		return problem
	}
	t.columns = append(t.columns, c)
	return p.end()
}

func (s session) dropTable(p *parser) *failure {
	exists := p.word("if", "exists")
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	if _, _, problem := s.table(name); problem != nil {
		if exists {
			return p.end()
		}
		return problem
	}
	delete(s.tenant.databases[s.database].tables, name)
	return p.end()
}

func (s session) dropDatabase(p *parser) *failure {
	exists := p.word("if", "exists")
	name, problem := p.name()
	if problem != nil {
		return problem
	}
	if s.tenant.databases[name] == nil && !exists {
		return fail("030017", "Database not found: %q", name)
	}
	delete(s.tenant.databases, name)
	return p.end()
}
