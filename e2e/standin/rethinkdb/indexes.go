package rethinkdb

import "slices"

func indexCreate(_ *evaluation, t *table, arguments []any, _ map[string]any) (any, error) {
	function, _ := binaryData(arguments[1])
	if err := t.createIndex(text(arguments[0]), function); err != nil {
		return nil, err
	}
	return map[string]any{"created": 1.0}, nil
}

func indexDrop(_ *evaluation, t *table, arguments []any, _ map[string]any) (any, error) {
	name := text(arguments[0])
	if _, ok := t.indexes[name]; !ok {
		return nil, noIndex(t, name)
	}
	delete(t.indexes, name)
	return map[string]any{"dropped": 1.0}, nil
}

func indexRename(_ *evaluation, t *table, arguments []any, options map[string]any) (any, error) {
	from, to := text(arguments[0]), text(arguments[1])
	if _, ok := t.indexes[from]; !ok {
		return nil, noIndex(t, from)
	}
	if _, ok := t.indexes[to]; ok && options["overwrite"] != true {
		return nil, fail(opFailed, "Index `%s` already exists on table `%s.%s`.", to, t.database, t.name)
	}
	t.indexes[to] = t.indexes[from]
	delete(t.indexes, from)
	return map[string]any{"renamed": 1.0}, nil
}

func indexStatus(_ *evaluation, t *table, names []any, _ map[string]any) (any, error) {
	all := []any{}
	for _, name := range t.sortedIndexes() {
		if len(names) == 0 || slices.Contains(names, any(name)) {
			all = append(all, t.indexStatus(name))
			// An index is built a little later than it is made.
			t.indexes[name].ready = true
		}
	}
	return all, nil
}

func indexWait(e *evaluation, t *table, names []any, options map[string]any) (any, error) {
	for _, found := range t.indexes {
		found.ready = true
	}
	return indexStatus(e, t, names, options)
}

func noIndex(t *table, name string) error {
	return fail(opFailed, "Index `%s` was not found on table `%s.%s`.", name, t.database, t.name)
}
