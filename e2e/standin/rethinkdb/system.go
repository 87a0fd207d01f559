package rethinkdb

import (
	"regexp"
	"slices"
)

const system = "rethinkdb"

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func checkName(kind, name string) error {
	if !nameForm.MatchString(name) {
		return fail(queryLogic, "%s name `%s` invalid (Use A-Z, a-z, 0-9, _ and - only).", kind, name)
	}
	return nil
}

func (s *Server) names() []string {
	names := make([]string, 0, len(s.databases))
	for name := range s.databases {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// allTables are in the order of their ids, as the system's tables have them.
func (s *Server) allTables() []*table {
	var all []*table
	for _, db := range s.databases {
		for _, t := range db.tables {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(one, other *table) int { return compare(one.id, other.id) })
	return all
}

// systemTable makes the rows of a table of the database `rethinkdb`.
func (s *Server) systemTable(name string) (sequence, error) {
	rows := sequence{}
	switch name {
	case "db_config":
		for _, name := range s.names() {
			rows = append(rows, map[string]any{"id": s.databases[name].id, "name": name})
		}
	case "table_config":
		for _, t := range s.allTables() {
			rows = append(rows, t.config())
		}
	case "server_config":
		for _, one := range s.servers {
			rows = append(rows, map[string]any{"id": one.id, "name": one.name, "cache_size_mb": "auto", "tags": []any{"default"}})
		}
	case "server_status":
		for _, one := range s.servers {
			process := map[string]any{"version": "rethinkdb " + version + " (x86_64-linux-gnu) (GCC 12.2.0)"}
			rows = append(rows, map[string]any{"id": one.id, "name": one.name, "process": process})
		}
	default:
		return nil, fail(opFailed, "Table `rethinkdb.%s` does not exist.", name)
	}
	return rows, nil
}

// setUsers takes rows of `rethinkdb.users`: how a password is set.
func (s *Server) setUsers(rows []any) map[string]any {
	for _, row := range rows {
		user, _ := row.(map[string]any)
		name, _ := user["id"].(string)
		password, _ := user["password"].(string)
		s.users[name] = newLogin(password)
	}
	return map[string]any{"deleted": 0.0, "errors": 0.0, "inserted": float64(len(rows)), "replaced": 0.0, "skipped": 0.0, "unchanged": 0.0}
}

func (s *Server) createDatabase(name string) (any, error) {
	if err := checkName("Database", name); err != nil {
		return nil, err
	}
	if _, ok := s.databases[name]; ok || name == system {
		return nil, fail(opFailed, "Database `%s` already exists.", name)
	}
	s.databases[name] = &database{id: newID(), tables: map[string]*table{}}
	change := map[string]any{"new_val": map[string]any{"id": s.databases[name].id, "name": name}, "old_val": nil}
	return map[string]any{"config_changes": []any{change}, "dbs_created": 1.0}, nil
}

func (s *Server) dropDatabase(name string) (any, error) {
	db, ok := s.databases[name]
	if !ok {
		return nil, fail(opFailed, "Database `%s` does not exist.", name)
	}
	delete(s.databases, name)
	change := map[string]any{"old_val": map[string]any{"id": db.id, "name": name}, "new_val": nil}
	return map[string]any{"config_changes": []any{change}, "dbs_dropped": 1.0, "tables_dropped": float64(len(db.tables))}, nil
}

func (s *Server) createTable(db string, name string, options map[string]any) (any, error) {
	if err := checkName("Table", name); err != nil {
		return nil, err
	}
	home, ok := s.databases[db]
	if !ok {
		return nil, fail(opFailed, "Database `%s` does not exist.", db)
	}
	if _, ok := home.tables[name]; ok {
		return nil, fail(opFailed, "Table `%s.%s` already exists.", db, name)
	}
	made := &table{id: newID(), name: name, database: db, primaryKey: "id", durability: "hard", indexes: map[string]*index{}, byKey: map[string]*row{}, ordered: true}
	if key, ok := options["primary_key"].(string); ok {
		made.primaryKey = key
	}
	if durability, ok := options["durability"].(string); ok {
		made.durability = durability
	}
	shards, replicas := 1, 1
	if number, ok := options["shards"].(float64); ok {
		shards = int(number)
	}
	if number, ok := options["replicas"].(float64); ok {
		replicas = int(number)
	}
	if replicas > len(s.servers) || replicas < 1 {
		return nil, fail(opFailed, "Can't put %d replicas on servers with the tag `default` because there are only %d servers.", replicas, len(s.servers))
	}
	for range shards {
		names := []any{}
		for _, one := range s.servers[:replicas] {
			names = append(names, one.name)
		}
		made.shards = append(made.shards, map[string]any{"nonvoting_replicas": []any{}, "primary_replica": names[0], "replicas": names})
	}
	home.tables[name] = made
	return map[string]any{"config_changes": []any{map[string]any{"new_val": made.config(), "old_val": nil}}, "tables_created": 1.0}, nil
}

func (s *Server) dropTable(db, name string) (any, error) {
	home, ok := s.databases[db]
	if !ok {
		return nil, fail(opFailed, "Database `%s` does not exist.", db)
	}
	old, ok := home.tables[name]
	if !ok {
		return nil, fail(opFailed, "Table `%s.%s` does not exist.", db, name)
	}
	delete(home.tables, name)
	return map[string]any{"config_changes": []any{map[string]any{"old_val": old.config(), "new_val": nil}}, "tables_dropped": 1.0}, nil
}
