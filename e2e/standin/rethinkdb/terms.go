package rethinkdb

import (
	"slices"
	"sort"
)

// term is how a term is run, and the least number of its arguments.
type term struct {
	least int
	run   func(e *evaluation, arguments []any, options map[string]any) (any, error)
}

// terms by their numbers in ql2.proto.
var terms map[int]term

func init() {
	terms = map[int]term{
		2:  {0, func(_ *evaluation, a []any, _ map[string]any) (any, error) { return plainAll(a), nil }},
		14: {1, func(_ *evaluation, a []any, _ map[string]any) (any, error) { return databaseRef{text(a[0])}, nil }},
		15: {2, func(e *evaluation, a []any, _ map[string]any) (any, error) {
			return e.table(databaseName(a[0]), text(a[1]))
		}},
		16: {2, get},
		19: {2, ordered(func(order int) bool { return order < 0 })},
		20: {2, ordered(func(order int) bool { return order <= 0 })},
		31: {2, field},
		33: {1, pluck},
		41: {1, orderBy},
		43: {1, count},
		54: {1, remove},
		56: {2, insert},
		57: {1, func(e *evaluation, a []any, _ map[string]any) (any, error) {
			return e.server.createDatabase(text(a[0]))
		}},
		58: {1, func(e *evaluation, a []any, _ map[string]any) (any, error) { return e.server.dropDatabase(text(a[0])) }},
		59: {0, func(e *evaluation, _ []any, _ map[string]any) (any, error) { return e.databaseList() }},
		60: {2, func(e *evaluation, a []any, o map[string]any) (any, error) {
			return e.server.createTable(databaseName(a[0]), text(a[1]), o)
		}},
		61: {2, func(e *evaluation, a []any, _ map[string]any) (any, error) {
			return e.server.dropTable(databaseName(a[0]), text(a[1]))
		}},
		62: {1, tableList},
		68: {2, forEach},
		70: {2, skip},
		71: {2, limit},
		75: {3, ofTable(indexCreate)},
		76: {2, ofTable(indexDrop)},
		77: {1, ofTable(func(_ *evaluation, t *table, _ []any, _ map[string]any) (any, error) { return t.indexNames(), nil })},
		78: {1, getAll},
		79: {1, ofTable(func(e *evaluation, t *table, _ []any, _ map[string]any) (any, error) {
			return t.info(e.server.databases[t.database]), nil
		})},
		91: {2, setDifference},
		138: {1, ofTable(func(*evaluation, *table, []any, map[string]any) (any, error) {
			return map[string]any{"synced": 1.0}, nil
		})},
		139: {1, ofTable(indexStatus)},
		140: {1, ofTable(indexWait)},
		145: {1, sum},
		154: {1, func(_ *evaluation, a []any, _ map[string]any) (any, error) {
			items, err := list(a[0])
			return spliced(items), err
		}},
		156: {3, ofTable(indexRename)},
		170: {2, bracket},
		177: {1, ofTable(func(*evaluation, *table, []any, map[string]any) (any, error) {
			return map[string]any{"ready": 1.0}, nil
		})},
		180: {0, func(*evaluation, []any, map[string]any) (any, error) { return edge{false}, nil }},
		181: {0, func(*evaluation, []any, map[string]any) (any, error) { return edge{true}, nil }},
		182: {3, between},
		189: {2, ofTable(func(_ *evaluation, t *table, a []any, _ map[string]any) (any, error) { return t.setHook(a[0]) })},
		190: {1, ofTable(func(_ *evaluation, t *table, _ []any, _ map[string]any) (any, error) {
			if t.hook == nil {
				return nil, nil
			}
			return t.hook, nil
		})},
	}
}

func text(value any) string { name, _ := value.(string); return name }

func databaseName(value any) string { db, _ := value.(databaseRef); return db.name }

func plainAll(values []any) []any {
	all := make([]any, len(values))
	for i, value := range values {
		all[i] = plain(value)
	}
	return all
}

// ofTable runs what needs a table; the other arguments follow.
func ofTable(run func(*evaluation, *table, []any, map[string]any) (any, error)) func(*evaluation, []any, map[string]any) (any, error) {
	return func(e *evaluation, arguments []any, options map[string]any) (any, error) {
		rows, ok := arguments[0].(*selection)
		if !ok {
			return nil, fail(queryLogic, "Expected type TABLE but found %s.", rank(arguments[0]))
		}
		return run(e, rows.table, arguments[1:], options)
	}
}

func (e *evaluation) databaseList() (any, error) {
	names := []any{}
	for _, name := range append(e.server.names(), system) {
		names = append(names, name)
	}
	return names, nil
}

func tableList(e *evaluation, arguments []any, _ map[string]any) (any, error) {
	db, ok := e.server.databases[databaseName(arguments[0])]
	if !ok {
		return nil, fail(opFailed, "Database `%s` does not exist.", databaseName(arguments[0]))
	}
	names := []any{}
	for _, name := range sortedTables(db) {
		names = append(names, name)
	}
	return names, nil
}

func sortedTables(db *database) []string {
	names := make([]string, 0, len(db.tables))
	for name := range db.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ordered says whether each value stands to the next as it should.
func ordered(good func(order int) bool) func(*evaluation, []any, map[string]any) (any, error) {
	return func(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
		for i, next := range arguments[1:] {
			if !good(compare(arguments[i], next)) {
				return false, nil
			}
		}
		return true, nil
	}
}

func get(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	rows, ok := arguments[0].(*selection)
	if !ok {
		return nil, fail(queryLogic, "Expected type TABLE but found %s.", rank(arguments[0]))
	}
	if row := rows.table.find(arguments[1]); row != nil {
		return row.value, nil
	}
	return nil, nil
}

func field(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	object, ok := arguments[0].(map[string]any)
	if !ok {
		return nil, fail(queryLogic, "Cannot perform get_field on a non-object non-sequence.")
	}
	value, ok := object[text(arguments[1])]
	if !ok {
		return nil, fail(nonExistence, "No attribute `%s` in object:\n%s", text(arguments[1]), encode(object))
	}
	return value, nil
}

func bracket(e *evaluation, arguments []any, options map[string]any) (any, error) {
	number, ok := arguments[1].(float64)
	if !ok {
		return field(e, arguments, options)
	}
	items, err := list(arguments[0])
	if err != nil {
		return nil, err
	}
	if number < 0 || int(number) >= len(items) {
		return nil, fail(nonExistence, "Index out of bounds: %v", number)
	}
	return items[int(number)], nil
}

func pluck(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	rows, err := list(arguments[0])
	if err != nil {
		return nil, err
	}
	var names []any
	for _, argument := range arguments[1:] {
		if several, ok := argument.([]any); ok {
			names = append(names, several...)
		} else {
			names = append(names, argument)
		}
	}
	plucked := sequence{}
	for _, row := range rows {
		some := map[string]any{}
		for name, value := range copied(row) {
			if slices.Contains(names, any(name)) {
				some[name] = value
			}
		}
		plucked = append(plucked, some)
	}
	return plucked, nil
}

func orderBy(_ *evaluation, arguments []any, options map[string]any) (any, error) {
	rows, ok := arguments[0].(*selection)
	if !ok {
		return nil, fail(queryLogic, "Indexed order_by can only be performed on a TABLE or TABLE_SLICE.")
	}
	if options["index"] != rows.table.primaryKey {
		return nil, fail(opFailed, "The stand-in orders by the primary key only.")
	}
	return rows, nil
}

func count(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	if rows, ok := arguments[0].(*selection); ok {
		return float64(len(rows.rows)), nil
	}
	items, err := list(arguments[0])
	return float64(len(items)), err
}

func sum(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	items, err := list(arguments[0])
	total := 0.0
	for _, item := range items {
		number, _ := item.(float64)
		total += number
	}
	return total, err
}

func skip(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	number, _ := arguments[1].(float64)
	if rows, ok := arguments[0].(*selection); ok {
		return &selection{rows.table, rows.rows[min(int(number), len(rows.rows)):]}, nil
	}
	items, err := list(arguments[0])
	if err != nil {
		return nil, err
	}
	return sequence(items[min(int(number), len(items)):]), nil
}

func limit(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	most, _ := arguments[1].(float64)
	if rows, ok := arguments[0].(*selection); ok {
		return &selection{rows.table, rows.rows[:min(int(most), len(rows.rows))]}, nil
	}
	items, err := list(arguments[0])
	if err == nil && int(most) < len(items) {
		items = items[:int(most)]
	}
	return sequence(items), err
}

func between(_ *evaluation, arguments []any, options map[string]any) (any, error) {
	rows, ok := arguments[0].(*selection)
	if !ok {
		return nil, fail(queryLogic, "Expected type TABLE_SLICE but found %s.", rank(arguments[0]))
	}
	key := func(at int) any { return rows.rows[at].value[rows.table.primaryKey] }
	from := sort.Search(len(rows.rows), func(at int) bool {
		left := position(key(at), arguments[1])
		return left > 0 || left == 0 && options["left_bound"] != "open"
	})
	to := sort.Search(len(rows.rows), func(at int) bool {
		right := position(key(at), arguments[2])
		return right > 0 || right == 0 && options["right_bound"] != "closed"
	})
	return &selection{rows.table, rows.rows[from:max(from, to)]}, nil
}

// position is where a key is as seen from a bound.
func position(key, bound any) int {
	if end, ok := bound.(edge); ok {
		if end.behind {
			return -1
		}
		return 1
	}
	return compare(key, bound)
}

func getAll(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	rows, ok := arguments[0].(*selection)
	if !ok {
		return nil, fail(queryLogic, "Expected type TABLE but found %s.", rank(arguments[0]))
	}
	found := &selection{table: rows.table}
	for _, key := range arguments[1:] {
		if row := rows.table.find(key); row != nil {
			found.rows = append(found.rows, row)
		}
	}
	return found, nil
}

func setDifference(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	one, err := list(arguments[0])
	if err != nil {
		return nil, err
	}
	other, err := list(arguments[1])
	left := []any{}
	for _, item := range one {
		if !slices.ContainsFunc(other, func(there any) bool { return compare(item, there) == 0 }) {
			left = append(left, item)
		}
	}
	return left, err
}

func forEach(e *evaluation, arguments []any, _ map[string]any) (any, error) {
	items, err := list(arguments[0])
	if err != nil {
		return nil, err
	}
	each, ok := arguments[1].(function)
	if !ok {
		return nil, fail(queryLogic, "Expected type FUNCTION.")
	}
	return e.forEach(items, each)
}

func insert(e *evaluation, arguments []any, options map[string]any) (any, error) {
	rows, ok := arguments[1].([]any)
	if !ok {
		rows = []any{arguments[1]}
	}
	switch target := arguments[0].(type) {
	case *selection:
		return target.table.insert(rows, options), nil
	case *systemRef:
		if target.name == "users" {
			return e.server.setUsers(rows), nil
		}
	}
	return nil, fail(queryLogic, "Expected type TABLE but found %s.", rank(arguments[0]))
}

func remove(_ *evaluation, arguments []any, _ map[string]any) (any, error) {
	rows, ok := arguments[0].(*selection)
	if !ok {
		return nil, fail(queryLogic, "Expected type SELECTION but found %s.", rank(arguments[0]))
	}
	for _, row := range rows.rows {
		rows.table.remove(row)
	}
	return map[string]any{"deleted": float64(len(rows.rows)), "errors": 0.0, "inserted": 0.0, "replaced": 0.0, "skipped": 0.0, "unchanged": 0.0}, nil
}
