// Tables are long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines
)]

mod chains;
mod properties;
mod rules;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Chain, Item, Plan, Reason, Rules, plan};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A complete full backup. The id is the time as it is written, to be read in a failure.
fn full(time: &str) -> Item {
    Item {
        id: time.to_owned(),
        time: at(time),
        complete: true,
        hold: false,
        locked: false,
        chain: Chain::Full,
        expire_after: None,
    }
}

fn increment(time: &str, base: &str, previous: &str) -> Item {
    let chain = Chain::Incremental {
        base: base.to_owned(),
        previous: previous.to_owned(),
    };
    Item {
        chain,
        ..full(time)
    }
}

/// A time long after everything in the tables.
fn much_later() -> Timestamp {
    at("2099-01-01T00:00:00Z")
}

fn plan_utc(rules: &Rules, items: &[Item]) -> Plan {
    plan(rules, items, &TimeZone::UTC, much_later())
}

fn kept(plan: &Plan) -> Vec<&str> {
    plan.keep.iter().map(|kept| kept.id.as_str()).collect()
}

fn reasons<'a>(plan: &'a Plan, id: &str) -> &'a [Reason] {
    plan.keep
        .iter()
        .find(|kept| kept.id == id)
        .map_or(&[], |kept| &kept.reasons)
}
