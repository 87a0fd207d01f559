//! Cuts a large measurement into slices by the values of one tag.
//!
//! The server merges all series of a query by time, point by point, before it hands them out: for
//! 25 series that is nearly half of its work. A query that is bound to few series has less to merge.

use super::catalog;
use super::client::Client;
use super::export::Place;
use super::ql;
use crate::engine::EngineError;

/// Rows that make a slice worth a query of its own.
const ROWS: u64 = 5_000;
/// Tags that are looked at.
const TAGS: usize = 8;
/// The build whose lists are complete: a cluster may leave out what a node that is down would say.
const SINGLE: &str = "OSS";

/// A tag and its values, those of series without it among them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    key: String,
    values: Vec<String>,
}

/// Conditions that each hold for other series of the place, and together for all. A series that
/// comes into being meanwhile may be in none of them: it is younger than the consistency time.
pub(super) async fn slices(
    client: &Client,
    place: &Place,
    rows: u64,
) -> Result<Vec<String>, EngineError> {
    let most = usize::try_from(rows / ROWS).unwrap_or(usize::MAX);
    if most < 2 || client.ping().await?.build != SINGLE {
        return Ok(Vec::new());
    }
    let source = place.source();
    let mut tags = Vec::new();
    let keys = catalog::tag_keys(client, &place.database, &source).await?;
    for key in keys.into_iter().take(TAGS) {
        // One more than are of use, to see whether there are more.
        let found = catalog::tag_values(client, &place.database, &source, &key, most + 1).await?;
        if let Some(values) = found {
            tags.push(Tag { key, values });
        }
    }
    Ok(finest(&tags, most).and_then(conditions).unwrap_or_default())
}

/// The tag that makes the most slices, but no more than are of use.
fn finest(tags: &[Tag], most: usize) -> Option<&Tag> {
    tags.iter()
        .filter(|tag| (2..=most).contains(&tag.values.len()))
        .max_by_key(|tag| tag.values.len())
}

/// None where the query language can't say one of them.
fn conditions(tag: &Tag) -> Option<Vec<String>> {
    let without = std::iter::once("");
    let values = tag.values.iter().map(String::as_str).chain(without);
    values.map(|value| ql::tag_is(&tag.key, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, values: usize) -> Tag {
        let values = (0..values).map(|number| format!("v{number}")).collect();
        Tag {
            key: key.into(),
            values,
        }
    }

    #[test]
    fn the_finest_tag_that_is_of_use() {
        for (counts, most, want) in [
            (&[][..], 10, None),
            (&[1], 10, None),
            (&[2], 10, Some(0)),
            (&[3, 7, 5], 10, Some(1)),
            (&[3, 11, 5], 10, Some(2)),
            (&[11], 10, None),
            (&[2], 1, None),
        ] {
            let tags: Vec<Tag> = counts.iter().map(|values| tag("t", *values)).collect();
            assert_eq!(
                finest(&tags, most),
                want.map(|at: usize| &tags[at]),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn conditions_cover_series_without_the_tag() {
        assert_eq!(
            conditions(&tag("host", 2)).unwrap_or_default(),
            [
                "\"host\"::tag = 'v0'",
                "\"host\"::tag = 'v1'",
                "\"host\"::tag = ''"
            ]
        );
        assert_eq!(conditions(&tag("a\r", 2)), None);
    }
}
