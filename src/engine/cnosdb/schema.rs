//! What a table's columns and a database's options are, and the statements that make them.
//!
//! What comes from a server or a backup is checked before it becomes a part of a statement. The
//! vendor's DDL dump is not used: it answers without a login and holds password hashes.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::sql::{ident, string};
use super::time::Precision;

/// The longest name.
const NAME_LIMIT: usize = 1024;
/// The most columns of a table.
const COLUMN_LIMIT: usize = 4096;

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Kind {
    /// The time.
    Time,
    /// Part of a series' name.
    Tag,
    /// A value.
    Field,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// A time.
    Time,
    /// `BIGINT`.
    Int,
    /// `BIGINT UNSIGNED`.
    Uint,
    /// `DOUBLE`.
    Float,
    /// `BOOLEAN`.
    Bool,
    /// `STRING`, or a geometry, which the server keeps as its text.
    Text,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// What it is for.
    pub(super) kind: Kind,
    /// Its type, in the server's words.
    #[serde(rename = "type")]
    pub(super) sql_type: String,
    /// How it is compressed, where that is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) codec: Option<String>,
}

impl Column {
    /// What it holds; none for a type that is not known.
    pub(super) fn holds(&self) -> Option<Type> {
        match (self.kind, self.sql_type.as_str()) {
            (Kind::Time, text) => Precision::of_type(text).map(|_| Type::Time),
            (Kind::Tag | Kind::Field, "STRING") => Some(Type::Text),
            (Kind::Field, "BIGINT") => Some(Type::Int),
            (Kind::Field, "BIGINT UNSIGNED") => Some(Type::Uint),
            (Kind::Field, "DOUBLE") => Some(Type::Float),
            (Kind::Field, "BOOLEAN") => Some(Type::Bool),
            (Kind::Field, text) if is_geometry(text) => Some(Type::Text),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if self.holds().is_none() {
            return Err(format!(
                "the column {:?} has a type that is not known",
                self.name
            ));
        }
        let plain = |codec: &String| {
            codec.len() <= 32
                && codec
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if self.codec.as_ref().is_some_and(|codec| !plain(codec)) {
            return Err(format!(
                "the column {:?} has a codec that is not known",
                self.name
            ));
        }
        Ok(())
    }

    /// `"name" TYPE CODEC(…)`, or `"name"` for a tag.
    pub(super) fn definition(&self) -> String {
        let mut text = ident(&self.name);
        if self.kind == Kind::Field {
            let _ = write!(text, " {}", self.sql_type);
            if let Some(codec) = &self.codec {
                let _ = write!(text, " CODEC({codec})");
            }
        }
        text
    }
}

fn is_geometry(text: &str) -> bool {
    let inner = text
        .strip_prefix("GEOMETRY(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|inner| inner.split_once(','));
    inner.is_some_and(|(shape, system)| {
        !shape.is_empty()
            && shape.len() <= 32
            && shape.bytes().all(|byte| byte.is_ascii_alphabetic())
            && system.trim().parse::<u32>().is_ok()
    })
}

/// Whether a name may stand in a statement, a URL and a manifest.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_LIMIT || name.contains('\0') {
        return Err("a name is empty, too long or has a zero byte".to_owned());
    }
    Ok(())
}

/// The columns of a table, the time among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// All columns, in the server's order.
    pub(super) columns: Vec<Column>,
    /// What its times are counted in.
    pub(super) precision: Precision,
}

impl Table {
    /// From columns that are hostile until they were checked.
    pub(super) fn new(columns: Vec<Column>) -> Result<Self, String> {
        if columns.len() > COLUMN_LIMIT {
            return Err(format!("more than {COLUMN_LIMIT} columns"));
        }
        let mut names = std::collections::BTreeSet::new();
        for column in &columns {
            column.check()?;
            if !names.insert(&column.name) {
                return Err(format!("two columns of the name {:?}", column.name));
            }
        }
        let mut times = columns.iter().filter(|column| column.kind == Kind::Time);
        let precision = match (times.next(), times.next()) {
            (Some(time), None) if time.name == "time" => Precision::of_type(&time.sql_type),
            _ => None,
        };
        let precision = precision.ok_or("no column of the name time, or two of its kind")?;
        Ok(Self { columns, precision })
    }

    /// The statement that makes it, as the vendor's own dump writes it.
    pub(super) fn create(&self, name: &str) -> String {
        let of = |kind| {
            let columns = self.columns.iter().filter(move |c| c.kind == kind);
            columns.map(Column::definition)
        };
        let mut items: Vec<String> = of(Kind::Field).collect();
        let tags: Vec<String> = of(Kind::Tag).collect();
        if !tags.is_empty() {
            items.push(format!("TAGS({})", tags.join(", ")));
        }
        format!(
            "CREATE TABLE IF NOT EXISTS {} ({})",
            ident(name),
            items.join(", ")
        )
    }
}

/// How an option of a database is written.
#[derive(Clone, Copy)]
enum Form {
    Quoted,
    Number,
    Bool,
}

/// The options that are kept, by the name that `DESCRIBE DATABASE` gives them, as the vendor's dump
/// writes them.
const OPTIONS: [(&str, Form); 11] = [
    ("ttl", Form::Quoted),
    ("shard", Form::Number),
    ("vnode_duration", Form::Quoted),
    ("replica", Form::Number),
    ("precision", Form::Quoted),
    ("max_memcache_size", Form::Quoted),
    ("memcache_partitions", Form::Number),
    ("wal_max_file_size", Form::Quoted),
    ("wal_sync", Form::Bool),
    ("strict_write", Form::Bool),
    ("max_cache_readers", Form::Number),
];

/// A database's options, each by its name.
pub(super) type Options = BTreeMap<String, String>;

/// Keeps the options that are known.
pub(super) fn known_options(all: impl Iterator<Item = (String, String)>) -> Options {
    all.filter(|(key, _)| OPTIONS.iter().any(|(name, _)| name == key))
        .collect()
}

/// The statement that makes a database. Its options are hostile until they were checked.
pub(super) fn create_database(name: &str, options: &Options) -> Result<String, String> {
    check_name(name)?;
    if let Some(odd) = options
        .keys()
        .find(|key| !OPTIONS.iter().any(|(name, _)| name == key))
    {
        return Err(format!(
            "an option of a database that is not known: {odd:?}"
        ));
    }
    let mut text = format!("CREATE DATABASE IF NOT EXISTS {}", ident(name));
    let mut with = " WITH";
    for (key, form) in OPTIONS {
        let Some(value) = options.get(key) else {
            continue;
        };
        let plain = match form {
            Form::Quoted => {
                (1..=64).contains(&value.len())
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b' ' || b == b'.')
            }
            Form::Number => value.parse::<u32>().is_ok(),
            Form::Bool => matches!(value.as_str(), "true" | "false"),
        };
        if !plain {
            return Err(format!("the option {key} of a database is not one"));
        }
        let value = match form {
            Form::Number => value.clone(),
            Form::Quoted | Form::Bool => string(value),
        };
        let _ = write!(text, "{with} {} {value}", key.to_ascii_uppercase());
        with = "";
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// A column.
    pub(in super::super) fn column(name: &str, kind: Kind, sql_type: &str) -> Column {
        Column {
            name: name.into(),
            kind,
            sql_type: sql_type.into(),
            codec: None,
        }
    }

    /// A table with all types.
    pub(in super::super) fn air() -> Table {
        Table::new(vec![
            column("time", Kind::Time, "TIMESTAMP(NANOSECOND)"),
            column("station", Kind::Tag, "STRING"),
            column("region", Kind::Tag, "STRING"),
            column("visibility", Kind::Field, "DOUBLE"),
            column("n", Kind::Field, "BIGINT"),
            column("u", Kind::Field, "BIGINT UNSIGNED"),
            column("ok", Kind::Field, "BOOLEAN"),
            column("s", Kind::Field, "STRING"),
        ])
        .unwrap()
    }

    #[test]
    fn tables_are_made_as_the_vendor_writes_them() {
        let mut table = air();
        table.columns[4].codec = Some("DELTA".into());
        assert_eq!(
            table.create("a\"ir"),
            "CREATE TABLE IF NOT EXISTS \"a\"\"ir\" (\"visibility\" DOUBLE, \"n\" BIGINT CODEC(DELTA), \"u\" BIGINT UNSIGNED, \"ok\" BOOLEAN, \"s\" STRING, TAGS(\"station\", \"region\"))"
        );
    }

    #[test]
    fn databases_are_made_with_their_options() {
        let options = known_options(
            [
                ("ttl", "99years 11months 5days 9h 50m 24s"),
                ("shard", "1"),
                ("replica", "1"),
                ("precision", "NS"),
                ("wal_sync", "false"),
                ("something_new", "1"),
            ]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        assert_eq!(
            create_database("telemetry", &options).unwrap(),
            "CREATE DATABASE IF NOT EXISTS \"telemetry\" WITH TTL '99years 11months 5days 9h 50m 24s' SHARD 1 REPLICA 1 PRECISION 'NS' WAL_SYNC 'false'"
        );
        assert_eq!(
            create_database("x", &Options::new()).unwrap(),
            "CREATE DATABASE IF NOT EXISTS \"x\""
        );
        for (key, value) in [
            ("ttl", "1d'; DROP DATABASE x"),
            ("shard", "1 REPLICA 2"),
            ("wal_sync", "maybe"),
            ("owner", "me"),
        ] {
            let options = Options::from([(key.to_owned(), value.to_owned())]);
            assert!(create_database("x", &options).is_err(), "{key}");
        }
    }

    #[test]
    fn hostile_columns_are_refused() {
        let time = column("time", Kind::Time, "TIMESTAMP(NANOSECOND)");
        let codec = Column {
            codec: Some("X) DROP".into()),
            ..column("a", Kind::Field, "BIGINT")
        };
        for columns in [
            vec![],
            vec![time.clone(), time.clone()],
            vec![time.clone(), column("a", Kind::Field, "BIGINT); DROP")],
            vec![time.clone(), column("a", Kind::Tag, "BIGINT")],
            vec![time.clone(), column("", Kind::Tag, "STRING")],
            vec![
                time.clone(),
                column("a", Kind::Tag, "STRING"),
                column("a", Kind::Field, "STRING"),
            ],
            vec![time.clone(), codec],
            vec![column("time", Kind::Time, "TIMESTAMP(WEEK)")],
        ] {
            assert!(Table::new(columns.clone()).is_err(), "{columns:?}");
        }
        for (text, want) in [
            ("GEOMETRY(POINT, 0)", true),
            ("GEOMETRY(POINT)", false),
            ("GEOMETRY(POINT, 0); DROP", false),
        ] {
            assert_eq!(column("g", Kind::Field, text).holds().is_some(), want);
        }
    }
}
