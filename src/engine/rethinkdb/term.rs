//! ReQL terms as their JSON text.
//!
//! A term is `[code, [arguments], {options}]`; plain values stand for themselves, but for arrays,
//! which are the arguments of `MAKE_ARRAY`. Vendor source: `ql2.proto`.

/// A term's JSON text.
pub(super) type Term = String;

const MAKE_ARRAY: u32 = 2;
const DB: u32 = 14;
const TABLE: u32 = 15;
const LT: u32 = 19;
const LE: u32 = 20;
const PLUCK: u32 = 33;
const ORDER_BY: u32 = 41;
const COUNT: u32 = 43;
const DELETE: u32 = 54;
const INSERT: u32 = 56;
const DB_CREATE: u32 = 57;
const DB_DROP: u32 = 58;
const TABLE_CREATE: u32 = 60;
const TABLE_DROP: u32 = 61;
const SKIP: u32 = 70;
const LIMIT: u32 = 71;
const INDEX_CREATE: u32 = 75;
const INDEX_DROP: u32 = 76;
const GET_ALL: u32 = 78;
const INFO: u32 = 79;
const SYNC: u32 = 138;
const INDEX_STATUS: u32 = 139;
const INDEX_RENAME: u32 = 156;
const WAIT: u32 = 177;
const MINVAL: u32 = 180;
const MAXVAL: u32 = 181;
const BETWEEN: u32 = 182;
const SET_WRITE_HOOK: u32 = 189;
const GET_WRITE_HOOK: u32 = 190;

/// Seconds that a server may take to make a table ready.
const READY_SECONDS: u32 = 60;

/// A string.
pub(super) fn text(value: &str) -> Term {
    serde_json::Value::from(value).to_string()
}

fn call(code: u32, arguments: &[&str]) -> Term {
    format!("[{code},[{}]]", arguments.join(","))
}

fn call_with(code: u32, arguments: &[&str], options: &str) -> Term {
    format!("[{code},[{}],{options}]", arguments.join(","))
}

fn db(name: &str) -> Term {
    call(DB, &[&text(name)])
}

/// A table of a database; those of the database `rethinkdb` tell of the cluster.
pub(super) fn table(database: &str, name: &str) -> Term {
    call(TABLE, &[&db(database), &text(name)])
}

/// Some fields of each row.
pub(super) fn pluck(rows: &str, fields: &[&str]) -> Term {
    let fields: Vec<Term> = fields.iter().map(|field| text(field)).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    call(PLUCK, &[rows, &call(MAKE_ARRAY, &fields)])
}

/// The first rows.
pub(super) fn limit(rows: &str, most: u32) -> Term {
    call(LIMIT, &[rows, &most.to_string()])
}

/// The rows behind the first.
pub(super) fn skip(rows: &str, number: u64) -> Term {
    call(SKIP, &[rows, &number.to_string()])
}

/// How many rows there are.
pub(super) fn count(rows: &str) -> Term {
    call(COUNT, &[rows])
}

/// The rows of a table from one primary key to before another, which are terms; none: no bound there.
/// Where it is `open`, the row of the first key is left out.
pub(super) fn between(table: &str, from: Option<&str>, to: Option<&str>, open: bool) -> Term {
    let (least, most) = (call(MINVAL, &[]), call(MAXVAL, &[]));
    let arguments = [table, from.unwrap_or(&least), to.unwrap_or(&most)];
    if open {
        return call_with(BETWEEN, &arguments, "{\"left_bound\":\"open\"}");
    }
    call(BETWEEN, &arguments)
}

/// Rows of a table in the order of their primary keys.
pub(super) fn order_by(rows: &str, primary_key: &str) -> Term {
    let index = format!("{{\"index\":{}}}", text(primary_key));
    call_with(ORDER_BY, &[rows], &index)
}

/// The rows of some primary keys.
pub(super) fn get_all(table: &str, keys: &[String]) -> Term {
    let mut arguments = vec![table];
    arguments.extend(keys.iter().map(String::as_str));
    call(GET_ALL, &arguments)
}

/// What stands before and behind rows, which are terms with commas between, so that they are written
/// over those of the same key.
pub(super) fn insert(table: &str, hard: bool) -> (Term, Term) {
    (
        format!("[{INSERT},[{table},[{MAKE_ARRAY},["),
        format!(
            "]]],{{\"conflict\":\"replace\",\"durability\":\"{}\",\"ignore_write_hook\":true}}]",
            durability(hard)
        ),
    )
}

/// Deletes rows.
pub(super) fn delete(rows: &str, hard: bool) -> Term {
    let durability = durability(hard);
    call_with(
        DELETE,
        &[rows],
        &format!("{{\"durability\":\"{durability}\",\"ignore_write_hook\":true}}"),
    )
}

/// Whether each value, which is a term, is below the next in the server's order. So are fewer than two.
pub(super) fn rising(values: &[&str]) -> Term {
    ordered(LT, values)
}

/// Whether no value, which is a term, is above the next. So are fewer than two.
pub(super) fn not_above(values: &[&str]) -> Term {
    ordered(LE, values)
}

fn ordered(code: u32, values: &[&str]) -> Term {
    match values.len() {
        0 | 1 => "true".to_owned(),
        _ => call(code, values),
    }
}

/// Two values as a list.
pub(super) fn both(one: &str, other: &str) -> Term {
    call(MAKE_ARRAY, &[one, other])
}

fn durability(hard: bool) -> &'static str {
    if hard { "hard" } else { "soft" }
}

/// Brings what a table holds to disk.
pub(super) fn sync(table: &str) -> Term {
    call(SYNC, &[table])
}

/// Makes a database.
pub(super) fn db_create(name: &str) -> Term {
    call(DB_CREATE, &[&text(name)])
}

/// Drops a database with all its tables.
pub(super) fn db_drop(name: &str) -> Term {
    call(DB_DROP, &[&text(name)])
}

/// Makes a table; `options` is a JSON object.
pub(super) fn table_create(database: &str, name: &str, options: &str) -> Term {
    call_with(TABLE_CREATE, &[&db(database), &text(name)], options)
}

/// Drops a table.
pub(super) fn table_drop(database: &str, name: &str) -> Term {
    call(TABLE_DROP, &[&db(database), &text(name)])
}

/// Waits until a table can be read and written.
pub(super) fn wait(table: &str) -> Term {
    call_with(WAIT, &[table], &format!("{{\"timeout\":{READY_SECONDS}}}"))
}

/// What a table is.
pub(super) fn info(table: &str) -> Term {
    call(INFO, &[table])
}

/// A table's secondary indexes, with their functions.
pub(super) fn index_status(table: &str) -> Term {
    call(INDEX_STATUS, &[table])
}

/// Makes a secondary index from its function.
pub(super) fn index_create(table: &str, name: &str, function: &str) -> Term {
    call(INDEX_CREATE, &[table, &text(name), function])
}

/// Gives an index a name, in the place of the index that has it.
pub(super) fn index_rename(table: &str, from: &str, to: &str) -> Term {
    let options = "{\"overwrite\":true}";
    call_with(INDEX_RENAME, &[table, &text(from), &text(to)], options)
}

/// Drops an index.
pub(super) fn index_drop(table: &str, name: &str) -> Term {
    call(INDEX_DROP, &[table, &text(name)])
}

/// A table's write hook.
pub(super) fn write_hook(table: &str) -> Term {
    call(GET_WRITE_HOOK, &[table])
}

/// Sets a table's write hook from its function.
pub(super) fn set_write_hook(table: &str, function: &str) -> Term {
    call(SET_WRITE_HOOK, &[table, function])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the vendor's tools say them on the wire.
    #[test]
    fn recorded_terms() {
        let orders = table("shop", "orders");
        for (term, want) in [
            (
                order_by(&orders, "id"),
                r#"[41,[[15,[[14,["shop"]],"orders"]]],{"index":"id"}]"#,
            ),
            (
                pluck(&table("rethinkdb", "table_config"), &["db", "name"]),
                r#"[33,[[15,[[14,["rethinkdb"]],"table_config"]],[2,["db","name"]]]]"#,
            ),
            (info(&orders), r#"[79,[[15,[[14,["shop"]],"orders"]]]]"#),
            (
                table_create("shop", "users", r#"{"primary_key":"uid"}"#),
                r#"[60,[[14,["shop"]],"users"],{"primary_key":"uid"}]"#,
            ),
        ] {
            assert_eq!(term, want);
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(table("a\"]", "b\\\n"), r#"[15,[[14,["a\"]"]],"b\\\n"]]"#);
        assert_eq!(
            order_by(
                &between(&table("d", "t"), Some("[2,[1,2]]"), None, true),
                "id"
            ),
            r#"[41,[[182,[[15,[[14,["d"]],"t"]],[2,[1,2]],[181,[]]],{"left_bound":"open"}]],{"index":"id"}]"#
        );
    }
}
