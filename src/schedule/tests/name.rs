use std::collections::HashSet;

use super::super::{
    MAX_NAME, MAX_SCHEDULE_NAME, backup_name, bounded_name, manual_backup_name, parse_slot_name,
    slot_name, trigger_due, trigger_suffix,
};
use super::at;

#[test]
fn slots_go_into_names_and_back() {
    for (time, name) in [
        ("2026-11-20T10:15:00Z", "20261120t101500z"),
        ("1970-01-01T00:00:00Z", "19700101t000000z"),
        ("2028-02-29T23:59:59Z", "20280229t235959z"),
        ("2026-03-29T03:30:00+02:00", "20260329t013000z"),
    ] {
        assert_eq!(slot_name(at(time)), name);
        assert_eq!(parse_slot_name(name), Some(at(time)));
    }
    for name in [
        "",
        "20261120t101500",
        "20261120T101500Z",
        "20261120t101500z ",
        "20261320t101500z",
        "20260229t101500z",
        "20261120t246000z",
        "20261120t101560z",
        "+2261120t101500z",
        "2026112０t1015z",
        "2026é120t10150z",
        "../../../etc/pas",
    ] {
        assert_eq!(parse_slot_name(name), None, "{name}");
    }
}

#[test]
fn names_of_backups() {
    let slot = at("2026-11-20T10:15:00Z");
    assert_eq!(backup_name("telemetry", slot), "telemetry-20261120t101500z");
    let manual = manual_backup_name("telemetry", "2026-11-20-before-upgrade");
    assert_eq!(
        manual,
        format!(
            "telemetry-manual-{}",
            trigger_suffix("2026-11-20-before-upgrade")
        )
    );
    assert_eq!(manual.len(), "telemetry-manual-".len() + 8);
}

#[test]
fn names_at_the_limit() {
    let slot = at("2026-11-20T10:15:00Z");
    let longest = "s".repeat(MAX_SCHEDULE_NAME);
    let name = backup_name(&longest, slot);
    assert_eq!(
        name,
        format!("{longest}-20261120t101500z"),
        "nothing is cut up to the limit"
    );
    assert_eq!(name.len(), 57);
    assert_eq!(manual_backup_name(&longest, "x").len(), 56);
    // Beyond it a hash keeps two of them apart.
    let (a, b) = (format!("{longest}a"), format!("{longest}b"));
    for (one, other) in [
        (backup_name(&a, slot), backup_name(&b, slot)),
        (manual_backup_name(&a, "x"), manual_backup_name(&b, "x")),
        (
            bounded_name(&"n".repeat(63), "r0"),
            bounded_name(&"n".repeat(64), "r0"),
        ),
    ] {
        assert_ne!(one, other);
        assert!(
            one.len() <= MAX_NAME && other.len() <= MAX_NAME,
            "{one} {other}"
        );
    }
}

#[test]
fn bounded_names_fit_whatever_comes() {
    for length in 0..200 {
        for base in ["a".repeat(length), "a-".repeat(length), "é".repeat(length)] {
            for suffix in ["x", "import-17", "20261120t101500z"] {
                let name = bounded_name(&base, suffix);
                assert!(name.len() <= MAX_NAME, "{name}");
                assert!(name.ends_with(suffix), "{name}");
            }
        }
    }
    assert_eq!(
        bounded_name("telemetry-20261120t101500z", "r2"),
        "telemetry-20261120t101500z-r2"
    );
    let names: HashSet<String> = (0..2000)
        .map(|n| bounded_name(&format!("{}{n}", "p".repeat(70)), "x"))
        .collect();
    assert_eq!(names.len(), 2000);
}

#[test]
fn a_trigger_runs_once() {
    let a = trigger_suffix("a");
    assert_eq!(a.len(), 8);
    assert!(
        a.bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    );
    for (trigger, last, due) in [
        (None, None, None),
        (None, Some("a"), None),
        (Some(""), None, None),
        (Some("a"), None, Some("a")),
        (Some("a"), Some("a"), None),
        (Some("b"), Some("a"), Some("b")),
    ] {
        assert_eq!(trigger_due(trigger, last), due, "{trigger:?} {last:?}");
    }
    assert_ne!(trigger_suffix("$(reboot)\n"), trigger_suffix("$(reboot)"));
}
