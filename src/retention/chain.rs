//! Which backup builds on which, and which can be restored.

use std::collections::HashMap;

use jiff::Timestamp;

use super::rules::{Chain, Item};

/// The chains among items that are sorted newest first.
pub(super) struct Chains {
    /// For each backup that can be restored the place of the full under it: its own for a full.
    pub(super) full: Vec<Option<usize>>,
    /// For each increment the place of the one before it, if it is there.
    pub(super) previous: Vec<Option<usize>>,
}

impl Chains {
    /// An increment can be restored if its full is there and older, and if the backups before it
    /// lead without a hole to that full, to a newer one, or to a time before it: what ended before
    /// the full was begun is in the full.
    pub(super) fn of(items: &[&Item]) -> Self {
        let places: HashMap<&str, usize> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.complete)
            .map(|(at, item)| (item.id.as_str(), at))
            .collect();
        let mut chains = Self {
            full: vec![None; items.len()],
            previous: vec![None; items.len()],
        };
        // Since when what leads up to each backup is without a hole. A full needs nothing before.
        let mut solid_since: Vec<Timestamp> = items.iter().map(|item| item.time).collect();
        for at in (0..items.len()).rev().filter(|at| items[*at].complete) {
            match &items[at].chain {
                Chain::Full => {
                    chains.full[at] = Some(at);
                    solid_since[at] = Timestamp::MIN;
                }
                Chain::Incremental { base, previous } => {
                    // Only what is older can be built on; a manifest may say anything.
                    let older = |id: &str| places.get(id).copied().filter(|place| *place > at);
                    chains.previous[at] = older(previous);
                    if let Some(previous) = chains.previous[at] {
                        solid_since[at] = solid_since[previous];
                    }
                    chains.full[at] = older(base).filter(|full| {
                        items[*full].chain == Chain::Full && solid_since[at] <= items[*full].time
                    });
                }
            }
        }
        chains
    }
}
