//! IANA time zones from the database that is compiled in.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::{ScheduleError, cut};

/// The zone of a schedule that names none.
pub const DEFAULT_ZONE: &str = "Etc/UTC";

/// The longest name that is looked up.
const MAX_LEN: usize = 64;

/// Names that databases carry but that stand for no place.
const NOT_ZONES: [&str; 5] = ["etc/unknown", "factory", "local", "localtime", "posixrules"];

/// Finds a zone by its IANA name; nothing means UTC. The zone files of the machine are never read,
/// so that every controller and job agrees.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, ScheduleError> {
    let name = name.unwrap_or(DEFAULT_ZONE);
    let database = TimeZoneDatabase::bundled();
    let refused = name.len() > MAX_LEN || NOT_ZONES.contains(&name.to_ascii_lowercase().as_str());
    let found = if refused {
        None
    } else {
        database.get(name).ok()
    };
    found.ok_or_else(|| ScheduleError::Zone {
        text: cut(name),
        suggestion: suggestion(&database, name),
    })
}

/// The zone whose city was written alone, else a common one.
fn suggestion(database: &TimeZoneDatabase, name: &str) -> String {
    let city = name
        .rsplit('/')
        .next()
        .unwrap_or(name)
        .trim()
        .replace(' ', "_");
    let named = (!city.is_empty() && city.len() <= MAX_LEN)
        .then(|| {
            database.available().find(|zone| {
                let zone = zone.as_str();
                zone.rsplit_once('/')
                    .is_some_and(|(_, last)| last.eq_ignore_ascii_case(&city))
            })
        })
        .flatten();
    named.map_or_else(
        || "Europe/Berlin".to_owned(),
        |zone| zone.as_str().to_owned(),
    )
}
