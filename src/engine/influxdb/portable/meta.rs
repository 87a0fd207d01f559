//! The metadata of a server, as its backup service gives and takes it.
//!
//! Vendor source: `services/meta/internal/meta.proto`, `services/meta/data.go` (`ImportData`),
//! `cmd/influxd/backup_util`. Kept are databases, retention policies, continuous queries and shards.
//! Users with their password hashes, subscriptions and nodes are left where they are: the vendor's
//! restore takes no users, and subscriptions would have a standby send to production's consumers.

use super::proto::{Message, Value, fields};
use crate::engine::influxdb::catalog::{ContinuousQuery, Policy};

const NANOS: u64 = 1_000_000_000;

/// A server's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// Tells one server from another.
    pub(super) cluster: u64,
    /// All databases.
    pub(super) databases: Vec<Database>,
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Database {
    /// Its name.
    pub(super) name: String,
    /// Its retention policies.
    pub(super) policies: Vec<(Policy, Vec<Shard>)>,
    /// Its continuous queries.
    pub(super) queries: Vec<ContinuousQuery>,
}

/// A shard: what one retention policy holds of a span of event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shard {
    /// Its number.
    pub(super) id: u64,
    /// The first nanosecond.
    pub(super) start: i64,
    /// The first nanosecond after.
    pub(super) end: i64,
}

impl Meta {
    /// From the bytes of the vendor's message `Data`. None where they are not one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut meta = Self::default();
        for (field, value) in fields(bytes)? {
            match field {
                3 => meta.cluster = value.number()?,
                5 => meta.databases.push(database(value.bytes()?)?),
                _ => {}
            }
        }
        Some(meta)
    }

    /// As the bytes of the vendor's message `Data`.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut data = Message::default();
        // Term, index and cluster: the vendor's reader wants them, its restore does not look at them.
        data.number(1, 1);
        data.number(2, 1);
        data.number(3, self.cluster);
        for database in &self.databases {
            data.bytes(5, database.write());
        }
        let most = self.databases.iter().flat_map(Database::shards);
        let most = most.map(|(_, shard)| shard.id).max().unwrap_or(0);
        data.number(7, 0);
        data.number(8, most);
        data.number(9, most);
        data.into_bytes()
    }

    /// The database of a name.
    pub(super) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }
}

impl Database {
    /// Its shards, each with its retention policy.
    pub(super) fn shards(&self) -> impl Iterator<Item = (&Policy, &Shard)> {
        let policies = self.policies.iter();
        policies.flat_map(|(policy, shards)| shards.iter().map(move |shard| (policy, shard)))
    }

    fn write(&self) -> Vec<u8> {
        let mut message = Message::default();
        message.bytes(1, &self.name);
        let default = self.policies.iter().find(|(policy, _)| policy.default);
        message.bytes(2, default.map_or("", |(policy, _)| policy.name.as_str()));
        for (policy, shards) in &self.policies {
            message.bytes(3, write_policy(policy, shards));
        }
        for query in &self.queries {
            let mut one = Message::default();
            one.bytes(1, &query.name);
            one.bytes(2, &query.query);
            message.bytes(4, one.into_bytes());
        }
        message.into_bytes()
    }
}

fn write_policy(policy: &Policy, shards: &[Shard]) -> Vec<u8> {
    let mut message = Message::default();
    message.bytes(1, &policy.name);
    message.number(2, policy.duration_seconds.saturating_mul(NANOS));
    message.number(3, policy.shard_duration_seconds.saturating_mul(NANOS));
    message.number(4, u64::from(policy.replication.max(1)));
    // Shards of one span are one group: a cluster has several in each.
    for together in shards.chunk_by(|one, next| (one.start, one.end) == (next.start, next.end)) {
        let mut group = Message::default();
        // The server gives new numbers to groups and shards.
        group.number(1, together[0].id);
        group.signed(2, together[0].start);
        group.signed(3, together[0].end);
        group.number(4, 0);
        for shard in together {
            let mut one = Message::default();
            one.number(1, shard.id);
            group.bytes(5, one.into_bytes());
        }
        message.bytes(5, group.into_bytes());
    }
    message.into_bytes()
}

fn database(bytes: &[u8]) -> Option<Database> {
    let mut database = Database::default();
    let mut default = String::new();
    for (field, value) in fields(bytes)? {
        match field {
            1 => database.name = value.text()?,
            2 => default = value.text()?,
            3 => database.policies.push(policy(value.bytes()?)?),
            4 => database.queries.push(query(value.bytes()?)?),
            _ => {}
        }
    }
    for (policy, _) in &mut database.policies {
        policy.default = policy.name == default;
    }
    Some(database)
}

fn policy(bytes: &[u8]) -> Option<(Policy, Vec<Shard>)> {
    let (mut policy, mut shards) = (Policy::default(), Vec::new());
    for (field, value) in fields(bytes)? {
        match field {
            1 => policy.name = value.text()?,
            2 => policy.duration_seconds = value.number()? / NANOS,
            3 => policy.shard_duration_seconds = value.number()? / NANOS,
            4 => policy.replication = u32::try_from(value.number()?).ok()?,
            5 => shards.extend(group(value.bytes()?)?),
            _ => {}
        }
    }
    Some((policy, shards))
}

fn query(bytes: &[u8]) -> Option<ContinuousQuery> {
    let mut query = ContinuousQuery::default();
    for (field, value) in fields(bytes)? {
        match field {
            1 => query.name = value.text()?,
            2 => query.query = value.text()?,
            _ => {}
        }
    }
    Some(query)
}

/// The shards of a group; none of one that was deleted.
fn group(bytes: &[u8]) -> Option<Vec<Shard>> {
    let (mut span, mut ids, mut deleted) = (Shard::default(), Vec::new(), false);
    for (field, value) in fields(bytes)? {
        match (field, value) {
            (2, Value::Number(start)) => span.start = start.cast_signed(),
            (3, Value::Number(end)) => span.end = end.cast_signed(),
            (4, Value::Number(at)) => deleted = at != 0,
            (5, Value::Bytes(shard)) => {
                let id = fields(shard)?.into_iter().find(|(field, _)| *field == 1)?;
                ids.push(id.1.number()?);
            }
            _ => {}
        }
    }
    if deleted {
        return Some(Vec::new());
    }
    // The first group of all begins before the first time that 64 bits have; the vendor lets that wrap,
    // and its restore then hides the points. The last group is cut at the last time.
    if span.start > span.end {
        span.start = i64::MIN;
    }
    Some(ids.into_iter().map(|id| Shard { id, ..span }).collect())
}

/// A file `<UTC>.meta`: the message `PortableData`.
pub(super) fn pack(meta: &Meta) -> Vec<u8> {
    let mut file = Message::default();
    file.bytes(1, meta.write());
    file.number(2, 0);
    file.into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a file `<UTC>.meta` holds. None where it is not one.
    fn unpack(file: &[u8]) -> Option<Meta> {
        let data = fields(file)?.into_iter().find(|(field, _)| *field == 1)?;
        Meta::read(data.1.bytes()?)
    }

    /// `20261121T180836Z.meta` of the real `influxd backup -portable` 1.7.11: one database with two
    /// shards.
    const REAL: &[u8] = include_bytes!("../../../../tests/influxdb_support/portable.meta");

    #[test]
    fn the_vendors_own_file_is_read() {
        let meta = unpack(REAL).unwrap();
        assert_eq!(meta.databases.len(), 1);
        let database = &meta.databases[0];
        assert_eq!(database.name, "one");
        let (policy, shards) = &database.policies[0];
        assert_eq!(policy.name, "autogen");
        assert!(policy.default);
        assert_eq!(policy.duration_seconds, 0);
        assert_eq!(policy.shard_duration_seconds, 604_800);
        assert_eq!(
            shards.iter().map(|shard| shard.id).collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(shards[0].start <= 1_600_000_000_000_000_000);
        assert!(shards[0].end > 1_600_000_000_000_000_000);
        assert_eq!(unpack(&pack(&meta)), Some(meta));
    }

    #[test]
    fn names_and_times_go_round() {
        let policy = Policy {
            name: "r p\"\u{1f4a1}".into(),
            duration_seconds: 3600,
            shard_duration_seconds: 60,
            replication: 2,
            default: true,
        };
        let shard = Shard {
            id: u64::MAX,
            start: i64::MIN + 2,
            end: -1,
        };
        let meta = Meta {
            cluster: 7,
            databases: vec![Database {
                name: "d".into(),
                policies: vec![(policy, vec![shard])],
                queries: vec![ContinuousQuery {
                    name: "q".into(),
                    query: "CREATE …".into(),
                }],
            }],
        };
        assert_eq!(Meta::read(&meta.write()), Some(meta.clone()));

        let mut wrapped = meta.clone();
        wrapped.databases[0].policies[0].1[0].start = i64::MAX - 5;
        let read = Meta::read(&wrapped.write()).unwrap();
        assert_eq!(read.databases[0].policies[0].1[0].start, i64::MIN);
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for file in [&b"#"[..], b"\x0a\x05abc", b"\x0a\x02\x2a\x05\x10\x00", b""] {
            assert_eq!(unpack(file), None, "{file:?}");
        }
    }
}
