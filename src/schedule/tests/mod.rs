// Tables are long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines
)]

mod decide;
mod name;
mod parse;
mod second_opinion;
mod times;

use jiff::Timestamp;

use super::Schedule;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(text: &str, zone: &str) -> Schedule {
    Schedule::parse(Some(text), None, Some(zone)).unwrap()
}

fn every(text: &str) -> Schedule {
    Schedule::parse(None, Some(text), None).unwrap()
}

/// The first `n` slots after `from`.
fn next(schedule: &Schedule, from: Timestamp, n: usize) -> Vec<Timestamp> {
    std::iter::successors(schedule.next_after(from), |t| schedule.next_after(*t))
        .take(n)
        .collect()
}
