//! The `cron` crate as a second opinion: the same schedules, written in its own dialect, fire at
//! the same times. It wants seconds and counts weekdays from 1 for Sunday, and it joins the two
//! day fields by "and", so only one of them is restricted here; the "or" is in the recorded table.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{cron, next};

#[derive(Debug, Clone)]
enum Days {
    All,
    OfMonth(u32, u32),
    OfWeek(u32, u32),
}

fn days() -> impl Strategy<Value = Days> {
    prop_oneof![
        Just(Days::All),
        (1..29_u32, 1..29_u32).prop_map(|(a, b)| Days::OfMonth(a.min(b), a.max(b))),
        (0..7_u32, 0..7_u32).prop_map(|(a, b)| Days::OfWeek(a.min(b), a.max(b))),
    ]
}

fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (min..=max).prop_map(|n| n.to_string()),
        (2..=max).prop_map(|step| format!("*/{step}")),
        (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        (min..=max, min..=max, 1..10_u32).prop_map(|(a, b, step)| format!(
            "{}-{}/{step}",
            a.min(b),
            a.max(b)
        )),
        proptest::collection::vec(min..=max, 1..5).prop_map(|list| {
            list.iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(",")
        }),
    ]
}

proptest! {
    #[test]
    fn fires_as_the_cron_crate(
        minute in field(0, 59),
        hour in field(0, 23),
        month in field(1, 12),
        days in days(),
        start in 1_700_000_000_i64..2_200_000_000,
    ) {
        let (day, ours, theirs) = match days {
            Days::All => ("*".to_owned(), "*".to_owned(), "*".to_owned()),
            Days::OfMonth(a, b) => (format!("{a}-{b}"), "*".to_owned(), "*".to_owned()),
            Days::OfWeek(a, b) => {
                ("*".to_owned(), format!("{a}-{b}"), format!("{}-{}", a + 1, b + 1))
            }
        };
        let ours = cron(&format!("{minute} {hour} {day} {month} {ours}"), "Etc/UTC");
        let text = format!("0 {minute} {hour} {day} {month} {theirs}");
        let theirs = cron::Schedule::from_str(&text).expect("the cron crate reads its own dialect");
        let after = DateTime::<Utc>::from_timestamp(start, 0).unwrap();
        let expected: Vec<i64> = theirs.after(&after).take(25).map(|t| t.timestamp()).collect();
        let slots = next(&ours, Timestamp::from_second(start).unwrap(), 25);
        let slots: Vec<i64> = slots.iter().map(|t| t.as_second()).collect();
        prop_assert_eq!(slots, expected, "{}", text);
    }
}
