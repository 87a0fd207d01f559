//! What retention needs to know of a line.

use futures::{StreamExt, TryStreamExt};

use super::AT_ONCE;
use super::read::{find_commit, list_slots};
use crate::manifest::Commit;
use crate::retention::{Chain, Item};
use crate::schedule::parse_slot_name;
use crate::storage::Location;
use crate::transfer::TransferError;

/// Every manifest of a line, for the retention rules. `held` says whether a person holds a slot. One
/// that can't be read is an error: what it needs would look as if nothing needed it.
pub async fn items(
    store: &Location,
    line: &str,
    held: impl Fn(&str) -> bool,
) -> Result<Vec<Item>, TransferError> {
    let slots = list_slots(store, line, None).await?;
    let mut commits = futures::stream::iter(slots)
        .map(|entry| async move {
            let found = find_commit(store, &entry.key, None).await?;
            Ok::<_, TransferError>(found.map(|(commit, _)| item(entry.slot, &commit)))
        })
        .buffer_unordered(AT_ONCE);
    let mut items = Vec::new();
    // Nothing there: it went since the listing.
    while let Some(found) = commits.try_next().await? {
        items.extend(found.map(|item| Item {
            hold: held(&item.id),
            ..item
        }));
    }
    Ok(items)
}

fn item(slot: String, commit: &Commit) -> Item {
    let (time, complete, chain) = match commit {
        Commit::Backup(manifest) => (
            manifest.consistency_time,
            true,
            Chain::from(&manifest.chain),
        ),
        Commit::Void(marker) => (
            parse_slot_name(&slot).unwrap_or(marker.time),
            false,
            Chain::Full,
        ),
    };
    Item {
        id: slot,
        time,
        complete,
        hold: false,
        locked: false,
        chain,
        expire_after: None,
    }
}
