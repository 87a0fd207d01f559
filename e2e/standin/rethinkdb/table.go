package rethinkdb

import (
	"bytes"
	"slices"
)

type database struct {
	id     string
	tables map[string]*table
}

type table struct {
	id, name, database, primaryKey string
	durability                     string
	shards                         []any
	// rows in the order of their keys.
	rows    []map[string]any
	indexes map[string]*index
	hook    map[string]any
}

type index struct {
	function []byte
	// ready once somebody waited for it or looked twice.
	ready bool
}

// find is where the row of a key is, or would be.
func (t *table) find(key any) (int, bool) {
	return slices.BinarySearchFunc(t.rows, key, func(row map[string]any, key any) int {
		return compare(row[t.primaryKey], key)
	})
}

func (t *table) config() map[string]any {
	var hook any
	if t.hook != nil {
		hook = t.hook
	}
	return map[string]any{
		"db": t.database, "durability": t.durability, "id": t.id, "indexes": t.indexNames(), "name": t.name,
		"primary_key": t.primaryKey, "shards": t.shards, "write_acks": "majority", "write_hook": hook,
	}
}

func (t *table) info(db *database) map[string]any {
	return map[string]any{
		"db": map[string]any{"id": db.id, "name": t.database, "type": "DB"}, "doc_count_estimates": []any{float64(len(t.rows))},
		"id": t.id, "indexes": t.indexNames(), "name": t.name, "primary_key": t.primaryKey, "type": "TABLE",
	}
}

func (t *table) indexNames() []any {
	names := []any{}
	for _, name := range t.sortedIndexes() {
		names = append(names, name)
	}
	return names
}

func (t *table) sortedIndexes() []string {
	names := make([]string, 0, len(t.indexes))
	for name := range t.indexes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *table) indexStatus(name string) map[string]any {
	found := t.indexes[name]
	multi, geo := found.function[len(found.function)-2] != 0, found.function[len(found.function)-1] != 0
	return map[string]any{
		"function": binaryOf(found.function), "geo": geo, "index": name, "multi": multi, "outdated": false,
		"query": sprintf("indexCreate('%s', a function)", name), "ready": found.ready,
	}
}

// What the server's binary functions begin with.
var (
	indexPrefix = []byte("$reql_index_function$")
	hookPrefix  = []byte("$reql_write_hook_function$")
)

func (t *table) createIndex(name string, function []byte) error {
	if _, ok := t.indexes[name]; ok {
		return fail(opFailed, "Index `%s` already exists on table `%s.%s`.", name, t.database, t.name)
	}
	if name == t.primaryKey {
		return fail(opFailed, "Index name conflict: `%s` is the name of the primary key.", name)
	}
	if !bytes.HasPrefix(function, indexPrefix) || len(function) < len(indexPrefix)+8 {
		return fail(queryLogic, "Cannot create an index except from a reql_index_function returned from `index_status` in the field `function`.")
	}
	t.indexes[name] = &index{function: function}
	return nil
}

func (t *table) setHook(value any) (map[string]any, error) {
	if value == nil {
		t.hook = nil
		return map[string]any{"deleted": 1.0}, nil
	}
	function, ok := binaryData(value)
	if !ok || !bytes.HasPrefix(function, hookPrefix) {
		return nil, fail(queryLogic, "Cannot set a write hook except from a reql_write_hook_function returned from `get_write_hook` in the field `function`.")
	}
	counted := map[string]any{"created": 1.0}
	if t.hook != nil {
		counted = map[string]any{"replaced": 1.0}
	}
	t.hook = map[string]any{"function": binaryOf(function), "query": "setWriteHook(a function)"}
	return counted, nil
}

// insert writes rows, and counts what became of them.
func (t *table) insert(rows []any, options map[string]any) map[string]any {
	counts := map[string]float64{"deleted": 0, "errors": 0, "inserted": 0, "replaced": 0, "skipped": 0, "unchanged": 0}
	var first string
	var made []any
	for _, value := range rows {
		row, ok := value.(map[string]any)
		if !ok {
			first, counts["errors"] = or(first, "Cannot convert to OBJECT."), counts["errors"]+1
			continue
		}
		if _, ok := row[t.primaryKey]; !ok {
			row[t.primaryKey] = newID()
			made = append(made, row[t.primaryKey])
		}
		if t.hook != nil && options["ignore_write_hook"] != true {
			row["hooked"] = true
		}
		what, err := t.put(row, options["conflict"])
		if err != nil {
			first = or(first, err.Error())
		}
		counts[what]++
	}
	answer := map[string]any{}
	for name, count := range counts {
		answer[name] = count
	}
	if first != "" {
		answer["first_error"] = first
	}
	if made != nil {
		answer["generated_keys"] = made
	}
	return answer
}

func (t *table) put(row map[string]any, conflict any) (string, error) {
	checked, err := check(row)
	if err != nil {
		return "errors", err
	}
	row = checked.(map[string]any)
	key := row[t.primaryKey]
	switch rank(key) {
	case "NULL", "OBJECT":
		return "errors", fail(queryLogic, "Primary keys must be either a number, string, bool, pseudotype or array (got type %s):\n%s", rank(key), encode(key))
	case "STRING":
		if len(key.(string)) > 127 {
			return "errors", fail(queryLogic, "Primary key too long (max 127 characters): %s", encode(key))
		}
	}
	at, there := t.find(key)
	switch {
	case !there:
		t.rows = slices.Insert(t.rows, at, row)
		return "inserted", nil
	case conflict == "replace" || conflict == "update":
		if conflict == "update" {
			merged := map[string]any{}
			for _, one := range []map[string]any{t.rows[at], row} {
				for name, value := range one {
					merged[name] = value
				}
			}
			row = merged
		}
		if bytes.Equal(encode(t.rows[at]), encode(row)) {
			return "unchanged", nil
		}
		t.rows[at] = row
		return "replaced", nil
	}
	return "errors", fail(opFailed, "Duplicate primary key `%s`:\n%s\n%s", t.primaryKey, encode(t.rows[at]), encode(row))
}

func or(one, other string) string {
	if one != "" {
		return one
	}
	return other
}
