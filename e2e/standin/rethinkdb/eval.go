package rethinkdb

import "maps"

// sequence is rows that are sent as a stream.
type sequence []any

// selection is rows of a table, in the order of their keys.
type selection struct {
	table *table
	rows  []*row
}

// values are what its rows hold.
func (s *selection) values() []any {
	values := make([]any, len(s.rows))
	for i, row := range s.rows {
		values[i] = row.value
	}
	return values
}

// databaseRef is a database that is named.
type databaseRef struct{ name string }

// systemRef is a table of the database `rethinkdb`.
type systemRef struct {
	name string
	rows sequence
}

// edge is what is before or behind every key.
type edge struct{ behind bool }

// function is a function of the query's own.
type function struct {
	parameters []any
	body       any
}

// evaluation runs one query.
type evaluation struct {
	server   *Server
	user     string
	implicit []any
}

// eval runs a term.
func (e *evaluation) eval(term any) (any, error) {
	switch term := term.(type) {
	case map[string]any:
		object := make(map[string]any, len(term))
		for key, value := range term {
			found, err := e.eval(value)
			if err != nil {
				return nil, err
			}
			object[key] = plain(found)
		}
		return object, nil
	case []any:
		return e.call(term)
	}
	return term, nil
}

func (e *evaluation) call(term []any) (any, error) {
	if len(term) == 0 {
		return nil, fail(queryLogic, "Expected a TermType as a NUMBER but found nothing.")
	}
	code, ok := term[0].(float64)
	if !ok {
		return nil, fail(queryLogic, "Expected a TermType as a NUMBER.")
	}
	var arguments []any
	if len(term) > 1 {
		arguments, _ = term[1].([]any)
	}
	options := map[string]any{}
	if len(term) > 2 {
		given, _ := term[2].(map[string]any)
		found, err := e.eval(given)
		if err != nil {
			return nil, err
		}
		options = found.(map[string]any)
	}
	switch code {
	case 13: // IMPLICIT_VAR
		if len(e.implicit) == 0 {
			return nil, fail(queryLogic, "r.row is not defined in this context.")
		}
		return e.implicit[len(e.implicit)-1], nil
	case 69: // FUNC
		if len(arguments) != 2 {
			return nil, fail(queryLogic, "Expected 2 arguments.")
		}
		return function{body: arguments[1]}, nil
	}
	values, err := e.values(arguments)
	if err != nil {
		return nil, err
	}
	run, ok := terms[int(code)]
	if !ok {
		return nil, fail(queryLogic, "The stand-in does not know the term %v.", code)
	}
	if len(values) < run.least {
		return nil, fail(queryLogic, "Expected %d or more arguments but found %d.", run.least, len(values))
	}
	return run.run(e, values, options)
}

// spliced is what ARGS makes: arguments of the term around it.
type spliced []any

func (e *evaluation) values(arguments []any) ([]any, error) {
	var values []any
	for _, argument := range arguments {
		value, err := e.eval(argument)
		if err != nil {
			return nil, err
		}
		if several, ok := value.(spliced); ok {
			values = append(values, several...)
			continue
		}
		values = append(values, value)
	}
	return values, nil
}

// plain is a value that can be stored or sent.
func plain(value any) any {
	switch value := value.(type) {
	case *selection:
		return value.values()
	case sequence:
		return []any(value)
	}
	return value
}

// list is the items of an array, a stream or a table.
func list(value any) ([]any, error) {
	switch value := value.(type) {
	case []any:
		return value, nil
	case sequence:
		return value, nil
	case *selection:
		return value.values(), nil
	case *systemRef:
		return value.rows, nil
	}
	return nil, fail(queryLogic, "Cannot convert %s to SEQUENCE", rank(value))
}

func (e *evaluation) table(database, name string) (any, error) {
	if e.user != "admin" {
		return nil, fail(permission, "User `%s` does not have the required `read` permission.", e.user)
	}
	if database == system {
		if name == "users" {
			return &systemRef{name: name}, nil
		}
		rows, err := e.server.systemTable(name)
		return &systemRef{name, rows}, err
	}
	db, ok := e.server.databases[database]
	if !ok {
		return nil, fail(opFailed, "Database `%s` does not exist.", database)
	}
	found, ok := db.tables[name]
	if !ok {
		return nil, fail(opFailed, "Table `%s.%s` does not exist.", database, name)
	}
	return &selection{found, found.sorted()}, nil
}

// forEach runs a function for each item, and adds up what the writes count.
func (e *evaluation) forEach(items []any, each function) (any, error) {
	total := map[string]any{}
	for _, item := range items {
		e.implicit = append(e.implicit, item)
		value, err := e.eval(each.body)
		e.implicit = e.implicit[:len(e.implicit)-1]
		if err != nil {
			return nil, err
		}
		for name, value := range value.(map[string]any) {
			switch value := value.(type) {
			case float64:
				sum, _ := total[name].(float64)
				total[name] = sum + value
			case []any:
				all, _ := total[name].([]any)
				total[name] = append(all, value...)
			}
		}
	}
	return total, nil
}

// copied is a row that may be changed.
func copied(row any) map[string]any {
	object, _ := row.(map[string]any)
	return maps.Clone(object)
}
