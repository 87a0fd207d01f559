//! Times as the server writes them (no zone, UTC) and as nanoseconds since the epoch.

use std::fmt::Write;

const NANOS: i128 = 1_000_000_000;
const DAY: i128 = 86_400;

/// What a database's times are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    #[default]
    Ns,
}

impl Precision {
    /// From the type of a table's time column: `TIMESTAMP(NANOSECOND)`.
    pub(super) fn of_type(text: &str) -> Option<Self> {
        match text {
            "TIMESTAMP(MILLISECOND)" => Some(Self::Ms),
            "TIMESTAMP(MICROSECOND)" => Some(Self::Us),
            "TIMESTAMP(NANOSECOND)" | "TIMESTAMP" => Some(Self::Ns),
            _ => None,
        }
    }

    /// From a database's option.
    pub(super) fn of_option(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "ms" => Some(Self::Ms),
            "us" => Some(Self::Us),
            "ns" => Some(Self::Ns),
            _ => None,
        }
    }

    /// As a parameter of a write.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }

    /// Nanoseconds of one unit.
    pub(super) fn unit(self) -> i128 {
        match self {
            Self::Ms => 1_000_000,
            Self::Us => 1000,
            Self::Ns => 1,
        }
    }
}

/// Reads `2023-11-14T22:13:20`, with up to nine digits of a second's fraction, with or without `Z`.
pub(super) fn parse(text: &str) -> Option<i128> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (date, clock) = rest.split_once(['T', ' '])?;
    let mut date = date.split('-');
    let year = sign * number(date.next()?, 4..=6)?;
    let month = number(date.next()?, 2..=2)?;
    let day = number(date.next()?, 2..=2)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':');
    let hour = number(clock.next()?, 2..=2)?;
    let minute = number(clock.next()?, 2..=2)?;
    let second = number(clock.next()?, 2..=2)?;
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && date.next().is_none()
        && clock.next().is_none()
        && fraction.len() <= 9;
    if !fits {
        return None;
    }
    let nanos = match fraction {
        "" => 0,
        digits => number(digits, 1..=9)? * 10i128.pow(u32::try_from(9 - digits.len()).ok()?),
    };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(seconds * NANOS + nanos)
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i128> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days since the epoch of a day in the Gregorian calendar.
fn days(year: i128, month: i128, day: i128) -> i128 {
    // A year that begins in March has its leap day at its end.
    let year = year - i128::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A literal for a comparison with a time; none beyond what the server compares with.
pub(super) fn literal(nanoseconds: i128) -> Option<String> {
    i64::try_from(nanoseconds).ok()?;
    let time = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?;
    Some(format!("'{time}'"))
}

/// Reads a span of time as the server writes one: `99years 11months 5days 9h 50m 24s`. None for one
/// without end, and for what can't be read.
pub(super) fn span_seconds(text: &str) -> Option<i128> {
    let mut total = 0i128;
    for word in text.split_whitespace() {
        let at = word.find(|c: char| !c.is_ascii_digit())?;
        let (count, unit) = word.split_at(at);
        let seconds = match unit {
            "year" | "years" | "y" => 31_557_600,
            "month" | "months" | "M" => 2_630_016,
            "week" | "weeks" | "w" => 604_800,
            "day" | "days" | "d" => 86_400,
            "hour" | "hours" | "h" => 3600,
            "minute" | "minutes" | "min" | "m" => 60,
            "second" | "seconds" | "s" => 1,
            "ms" | "us" | "ns" => 0,
            _ => return None,
        };
        total += number(count, 1..=12)? * seconds;
    }
    (total > 0).then_some(total)
}

/// Appends a time in nanoseconds.
pub(super) fn put(out: &mut Vec<u8>, time: i128) {
    let mut text = String::with_capacity(24);
    // Writing to a String can't fail.
    let _ = write!(text, "{time}");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("1970-01-01T00:00:00", Some(0)),
            ("2023-11-14T22:13:20", Some(1_700_000_000 * NANOS)),
            (
                "2023-11-14T22:13:20.000000001",
                Some(1_700_000_000 * NANOS + 1),
            ),
            (
                "2023-11-14 22:13:20.5Z",
                Some(1_700_000_000 * NANOS + NANOS / 2),
            ),
            ("1969-12-31T23:59:59.999999999", Some(-1)),
            ("1677-09-21T00:12:43.145224192", Some(i128::from(i64::MIN))),
            ("2262-04-11T23:47:16.854775807", Some(i128::from(i64::MAX))),
            ("2024-02-29T00:00:00", Some(1_709_164_800 * NANOS)),
            ("+12345-01-01T00:00:00", Some(327_403_382_400 * NANOS)),
            ("-0001-01-01T00:00:00", Some(-62_198_755_200 * NANOS)),
            ("2023-13-01T00:00:00", None),
            ("2023-11-14", None),
            ("2023-11-14T22:13:20.1234567890", None),
            ("2023-11-14T22:13:20+08:00", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn literals_read_back() {
        for time in [0, 1, -1, 1_700_000_000_123_456_789, i128::from(i64::MIN)] {
            let text = literal(time).unwrap();
            assert_eq!(parse(text.trim_matches('\'')), Some(time), "{text}");
        }
        assert_eq!(literal(i128::from(i64::MAX) + 1), None);
    }

    #[test]
    fn spans() {
        for (text, want) in [
            ("99years 11months 5days 9h 50m 24s", Some(36_500 * 86_400)),
            ("1year", Some(31_557_600)),
            ("10days", Some(864_000)),
            ("INF", None),
            ("", None),
            ("9999999999999years", None),
            ("5parsecs", None),
        ] {
            assert_eq!(span_seconds(text), want, "{text}");
        }
    }
}
