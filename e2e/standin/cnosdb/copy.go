package cnosdb

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// copy answers COPY INTO; those words are taken. Each run writes new files, whatever is there.
func (s session) copy(p *parser) (answer, *failure) {
	moved := func(rows int, problem *failure) (answer, *failure) {
		return answer{columns: []string{"rows"}, rows: [][]any{{int64(rows)}}}, problem
	}
	if len(p.all) > 0 && p.all[0].kind == 't' {
		return moved(s.copyOut(p))
	}
	return moved(s.copyIn(p))
}

// copyOut writes a table, or what a SELECT finds, into files: one for each half of the rows.
func (s session) copyOut(p *parser) (int, *failure) {
	url, problem := p.take("t")
	if problem != nil || !p.word("from") {
		return 0, syntax(p.sql)
	}
	found, columns, problem := s.copied(p)
	if problem != nil {
		return 0, problem
	}
	how, problem := p.copyOptions()
	if problem != nil {
		return 0, problem
	}
	place, problem := openPlace(url.text, how)
	if problem != nil {
		return 0, problem
	}
	query, half := rand.Uint64(), (len(found.rows)+1)/2
	for part, rows := range [][][]any{found.rows[:half], found.rows[half:]} {
		if len(rows) == 0 {
			continue
		}
		text, err := how.write(columns, rows)
		if err != nil {
			return 0, fail("010001", "Arrow error: %v", err)
		}
		name := fmt.Sprintf("queryId-%d-part-%d-%d-0", query, rand.Uint64(), part)
		if problem := place.put(name, text); problem != nil {
			return 0, problem
		}
	}
	return len(found.rows), nil
}

// copied is what a COPY reads, with the columns' types.
func (s session) copied(p *parser) (answer, []column, *failure) {
	inner := p
	var name string
	var problem *failure
	if p.sign("(") {
		end := 0
		for depth := 1; end < len(p.all); end++ {
			if p.all[end].kind == 's' && p.all[end].text == "(" {
				depth++
			} else if p.all[end].kind == 's' && p.all[end].text == ")" {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if end == len(p.all) {
			return answer{}, nil, syntax(p.sql)
		}
		inner = &parser{p.sql, p.all[:end]}
		p.all = p.all[end+1:]
		if !inner.word("select") || len(inner.all) < 3 {
			return answer{}, nil, syntax(p.sql)
		}
		from := &parser{p.sql, inner.all[2:]} // after `* FROM`
		name, problem = from.name()
	} else {
		name, problem = p.name()
		inner = &parser{p.sql, []token{{'s', "*"}, {'w', "from"}, {'i', name}}}
	}
	if problem != nil {
		return answer{}, nil, problem
	}
	found, problem := s.query(inner)
	if problem != nil {
		return answer{}, nil, problem
	}
	_, t, problem := s.table(name)
	if problem != nil {
		return answer{}, nil, problem
	}
	return found, t.columns, nil
}

// copyIn reads every file below a place into a table.
func (s session) copyIn(p *parser) (int, *failure) {
	name, problem := p.name()
	if problem != nil {
		return 0, problem
	}
	var names []string
	for ok := p.sign("("); ok; ok = p.sign(",") {
		column, problem := p.name()
		if problem != nil {
			return 0, problem
		}
		names = append(names, column)
	}
	if len(names) > 0 && !p.sign(")") || !p.word("from") {
		return 0, syntax(p.sql)
	}
	url, problem := p.take("t")
	if problem != nil {
		return 0, problem
	}
	how, problem := p.copyOptions()
	if problem != nil {
		return 0, problem
	}
	db, t, problem := s.table(name)
	if problem != nil {
		return 0, problem
	}
	columns := t.columns
	if len(names) > 0 {
		columns = nil
		for _, name := range names {
			c := t.find(name)
			if c == nil {
				return 0, fail("010001", "Datafusion: Arrow error: Schema error: Unable to get field named %q", name)
			}
			columns = append(columns, *c)
		}
	}
	place, problem := openPlace(url.text, how)
	if problem != nil {
		return 0, problem
	}
	files, problem := place.all()
	if problem != nil {
		return 0, problem
	}
	rows := 0
	for _, text := range files {
		found, err := how.read(columns, text)
		if err != nil {
			return rows, fail("010001", "Datafusion: Arrow error: Parser error: %v", err)
		}
		for _, values := range found {
			rows++
			at, _ := values["time"].(instant)
			delete(values, "time")
			time := int64(at) - ((int64(at)%db.unit())+db.unit())%db.unit()
			if time >= db.horizon() {
				t.put(time, values)
			}
		}
	}
	return rows, nil
}

// copyOptions reads CONNECTION, FILE_FORMAT and COPY_OPTIONS to the end.
func (p *parser) copyOptions() (copying, *failure) {
	how := copying{connection: map[string]string{}, kind: "CSV", delimiter: ',', header: true}
	for len(p.all) > 0 {
		section, problem := p.take("w")
		if problem != nil || !p.sign("=") || !p.sign("(") {
			return how, syntax(p.sql)
		}
		for {
			key, problem := p.take("w")
			if problem != nil || !p.sign("=") {
				return how, syntax(p.sql)
			}
			value, problem := p.take("tw")
			if problem != nil {
				return how, problem
			}
			if problem := how.set(strings.ToLower(section.text), strings.ToLower(key.text), value.text); problem != nil {
				return how, problem
			}
			if !p.sign(",") {
				break
			}
		}
		if !p.sign(")") {
			return how, syntax(p.sql)
		}
	}
	return how, nil
}

func (c *copying) set(section, key, value string) *failure {
	switch section + "." + key {
	case "file_format.type":
		c.kind = strings.ToUpper(value)
	case "file_format.delimiter":
		c.delimiter = rune(value[0])
	case "file_format.with_header":
		c.header = value == "true"
	case "copy_options.auto_infer_schema":
		c.infer = value == "true"
	default:
		if section != "connection" {
			return fail("010009", "Semantic error: Unsupported option [%s]", key)
		}
		c.connection[key] = value
	}
	return nil
}
