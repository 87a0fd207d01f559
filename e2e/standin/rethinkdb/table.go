package rethinkdb

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

type database struct {
	id     string
	tables map[string]*table
}

type table struct {
	id, name, database, primaryKey string
	durability                     string
	shards                         []any
	// rows by the text of their keys, and all in a list that is brought in order when it is read.
	byKey   map[string]*row
	rows    []*row
	ordered bool
	indexes map[string]*index
	hook    map[string]any
}

type index struct {
	function []byte
	// ready once somebody waited for it or looked twice.
	ready bool
}

// row is one row, with its text.
type row struct {
	value map[string]any
	text  json.RawMessage
	gone  bool
}

func (r *row) set(value map[string]any, text []byte) { r.value, r.text = value, text }

// find is the row of a key.
func (t *table) find(key any) *row { return t.byKey[keyText(key)] }

// keyText is the same for keys that are the same.
func keyText(key any) string {
	switch key := key.(type) {
	case float64:
		if key == 0 {
			return "0"
		}
	case map[string]any:
		if key["$reql_type$"] == "TIME" {
			return "TIME" + string(encode(key["epoch_time"]))
		}
	case []any:
		var text strings.Builder
		for _, item := range key {
			text.WriteString(keyText(item))
			text.WriteByte(0)
		}
		return "ARRAY" + text.String()
	}
	return string(encode(key))
}

func (t *table) add(value map[string]any, text []byte) {
	made := &row{value: value, text: text}
	t.byKey[keyText(value[t.primaryKey])] = made
	t.rows, t.ordered = append(t.rows, made), false
}

func (t *table) remove(row *row) {
	delete(t.byKey, keyText(row.value[t.primaryKey]))
	row.gone, t.ordered = true, false
}

// sorted are all rows. Answers that are under way keep the list that they have.
func (t *table) sorted() []*row {
	if !t.ordered {
		t.rows = slices.DeleteFunc(slices.Clone(t.rows), func(row *row) bool { return row.gone })
		slices.SortFunc(t.rows, func(one, other *row) int {
			return compare(one.value[t.primaryKey], other.value[t.primaryKey])
		})
		t.ordered = true
	}
	return t.rows
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
		"db": map[string]any{"id": db.id, "name": t.database, "type": "DB"}, "doc_count_estimates": []any{float64(len(t.byKey))},
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
	there := t.find(key)
	switch {
	case there == nil:
		t.add(row, encode(row))
		return "inserted", nil
	case conflict == "replace" || conflict == "update":
		if conflict == "update" {
			merged := map[string]any{}
			for _, one := range []map[string]any{there.value, row} {
				for name, value := range one {
					merged[name] = value
				}
			}
			row = merged
		}
		text := encode(row)
		if bytes.Equal(there.text, text) {
			return "unchanged", nil
		}
		there.set(row, text)
		return "replaced", nil
	}
	return "errors", fail(opFailed, "Duplicate primary key `%s`:\n%s\n%s", t.primaryKey, there.text, encode(row))
}

func or(one, other string) string {
	if one != "" {
		return one
	}
	return other
}
