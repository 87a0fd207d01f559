use std::time::Duration;

use super::super::{CronField, Schedule, ScheduleError, time_zone};
use super::{cron, every};

fn error(cron: Option<&str>, every: Option<&str>, zone: Option<&str>) -> ScheduleError {
    match Schedule::parse(cron, every, zone) {
        Err(error) => error,
        Ok(schedule) => panic!("{cron:?} {every:?} {zone:?} gave {schedule:?}"),
    }
}

#[test]
fn exactly_one_of_cron_and_every() {
    assert_eq!(error(None, None, None), ScheduleError::Neither);
    assert_eq!(
        error(Some("* * * * *"), Some("5m"), None),
        ScheduleError::Both
    );
}

#[test]
fn a_bad_field_is_named() {
    let table = [
        ("60 * * * *", CronField::Minute, "use 0 to 59"),
        ("* 24 * * *", CronField::Hour, "use 0 to 23"),
        ("* * 0 * *", CronField::DayOfMonth, "use 1 to 31"),
        ("* * 32 * *", CronField::DayOfMonth, "use 1 to 31"),
        ("* * L * *", CronField::DayOfMonth, "can't be read"),
        ("* * 15W * *", CronField::DayOfMonth, "can't be read"),
        ("* * * 13 *", CronField::Month, "use 1 to 12"),
        ("* * * juni *", CronField::Month, "JAN to DEC"),
        ("* * * * 8", CronField::DayOfWeek, "use 0 to 7"),
        ("* * * * 5#2", CronField::DayOfWeek, "can't be read"),
        ("* * * * 5L", CronField::DayOfWeek, "can't be read"),
        ("* * * * +1", CronField::DayOfWeek, "can't be read"),
        ("* * * * Montag", CronField::DayOfWeek, "SUN to SAT"),
        ("*/0 * * * *", CronField::Minute, "step"),
        ("*/-5 * * * *", CronField::Minute, "step"),
        ("* 5-1 * * *", CronField::Hour, "runs backwards"),
        ("* 1,,2 * * *", CronField::Hour, "can't be read"),
        ("* *-5 * * *", CronField::Hour, "can't be read"),
        ("* 1-2-3 * * *", CronField::Hour, "can't be read"),
        ("* 1/2/3 * * *", CronField::Hour, "step"),
        (
            "99999999999999999999 * * * *",
            CronField::Minute,
            "can't be read",
        ),
        ("9999 * * * *", CronField::Minute, "use 0 to 59"),
        ("$(id) * * * *", CronField::Minute, "can't be read"),
    ];
    for (text, expected, words) in table {
        let error = error(Some(text), None, None);
        let ScheduleError::Field { field, .. } = &error else {
            panic!("{text}: {error:?}")
        };
        assert_eq!(*field, expected, "{text}");
        let message = error.to_string();
        assert!(
            message.contains(&format!("the {expected} field")),
            "{text}: {message}"
        );
        assert!(message.contains(words), "{text}: {message}");
        assert_eq!(error.reason(), "InvalidCron");
    }
}

#[test]
fn other_bad_expressions_say_what_to_do() {
    let long = format!("{} * * * *", "1,".repeat(200));
    let table: [(&str, &str); 11] = [
        ("", "cron has 0 fields"),
        ("* * * *", "cron has 4 fields, it takes five: minute, hour"),
        ("*/30 * * * * *", "use every, for example every: 30s"),
        ("* * * * * * *", "cron has 7 fields"),
        ("TZ=Europe/Berlin * * * * *", "put the zone into timeZone"),
        (
            "CRON_TZ=Europe/Berlin * * * * *",
            "put the zone into timeZone",
        ),
        ("@every 5m", "use every, for example every: 15m"),
        ("@Hourly", "use one of @hourly"),
        ("@reboot", "is not known"),
        ("0 0 30 2 *", "never comes"),
        (&long, "longer than 256"),
    ];
    for (text, words) in table {
        let message = error(Some(text), None, None).to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn dates_that_never_come_are_refused_and_rare_ones_are_not() {
    for text in ["0 0 31 4 *", "0 0 31 2,4,6,9,11 *", "0 0 30,31 2 ?"] {
        assert_eq!(
            error(Some(text), None, None),
            ScheduleError::NeverFires,
            "{text}"
        );
    }
    for text in [
        "0 0 29 2 *",
        "0 0 31 2,3 *",
        "0 0 30 2 MON",
        "0 0 30-31 1-2 *",
    ] {
        assert!(Schedule::parse(Some(text), None, None).is_ok(), "{text}");
    }
}

#[test]
fn intervals() {
    let hour = 3600;
    for (text, seconds) in [
        ("1s", 1),
        ("5s", 5),
        ("15m", 900),
        ("90m", 5400),
        ("1h30m", 5400),
        ("1d", 24 * hour),
        ("366d", 366 * 24 * hour),
        ("1d2h3m4s", 24 * hour + 2 * hour + 184),
    ] {
        assert_eq!(
            every(text).min_interval(),
            Duration::from_secs(seconds),
            "{text}"
        );
    }
    for (text, words) in [
        ("", "is empty"),
        ("0s", "is too short"),
        ("0h0m", "is too short"),
        ("367d", "is too long"),
        ("366d1s", "is too long"),
        ("99999999999999999999s", "can't be read"),
        ("18446744073709551615d", "is too long"),
        ("15", "lacks a unit"),
        ("m", "can't be read"),
        ("-5m", "can't be read"),
        ("1.5h", "unit"),
        ("500ms", "can't be read"),
        ("5 m", "unit"),
        ("1m1h", "unit"),
        ("1m1m", "unit"),
        ("1w", "unit"),
        ("15M", "unit"),
        ("５m", "can't be read"),
    ] {
        let error = error(None, Some(text), None);
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert!(
            error.to_string().contains("15m or 1h30m"),
            "{text}: {error}"
        );
        assert_eq!(error.reason(), "InvalidInterval");
    }
}

#[test]
fn zones() {
    for zone in [
        "Etc/UTC",
        "UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Asia/Kolkata",
    ] {
        assert!(time_zone(Some(zone)).is_ok(), "{zone}");
    }
    assert_eq!(time_zone(None).unwrap().iana_name(), Some("Etc/UTC"));
    let long = "x".repeat(1000);
    for (zone, suggestion) in [
        ("Berlin", "Europe/Berlin"),
        ("Asia/new york", "America/New_York"),
        ("", "Europe/Berlin"),
        ("Local", "Europe/Berlin"),
        ("Etc/Unknown", "Europe/Berlin"),
        ("Factory", "Europe/Berlin"),
        ("CET+1", "Europe/Berlin"),
        ("+02:00", "Europe/Berlin"),
        ("../../etc/passwd", "Europe/Berlin"),
        ("Europe/Berlin\n", "Europe/Berlin"),
        (&long, "Europe/Berlin"),
    ] {
        let error = error(None, Some("5m"), Some(zone));
        let message = error.to_string();
        assert!(
            message.ends_with(&format!("for example {suggestion}")),
            "{zone}: {message}"
        );
        assert!(
            message.len() < 200 && !message.contains('\n'),
            "{zone}: {message}"
        );
        assert_eq!(error.reason(), "UnknownTimeZone");
    }
}

#[test]
fn messages_quote_little_and_escape_it() {
    let text = format!("{}\u{1b}[31m * * * *", "x".repeat(200));
    let message = error(Some(&text), None, None).to_string();
    assert!(message.chars().count() < 200, "{message}");
    let message = error(Some("\u{7}x * * * *"), None, None).to_string();
    assert!(!message.contains('\u{7}'), "{message:?}");
}

#[test]
fn the_digest_follows_the_times_and_not_their_spelling() {
    let same = [
        (cron("0 0 * * 0", "Etc/UTC"), cron("@weekly", "Etc/UTC")),
        (
            cron("*/30 * * * SUN", "Etc/UTC"),
            cron("0,30 * ? * 7", "Etc/UTC"),
        ),
        (every("90m"), every("1h30m")),
    ];
    for (a, b) in &same {
        assert_eq!(a.digest(), b.digest());
    }
    let different = [
        cron("0 0 * * *", "Etc/UTC"),
        cron("0 0 * * *", "Europe/Berlin"),
        cron("0 1 * * *", "Etc/UTC"),
        cron("0 0 */2 * 1", "Etc/UTC"),
        cron("0 0 * * 1", "Etc/UTC"),
        every("1d"),
        every("1h"),
    ];
    let digests: std::collections::HashSet<String> =
        different.iter().map(Schedule::digest).collect();
    assert_eq!(digests.len(), different.len());
}
