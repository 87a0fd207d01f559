//! Whether a location can be used, with a reason that tells one fault from another.

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use super::claims::{Claimant, Claimed, claim_key, ensure_claim};
use super::{Created, Location, StorageError};
use crate::api::conditions::Reason;

/// The clock may be this far from the store's.
const SKEW_LIMIT: SignedDuration = SignedDuration::from_mins(5);
/// The most bytes of a claim that are read back.
const CLAIM_LIMIT: usize = 4 * 1024;
/// A key that is asked for where the location is empty. Nothing is ever written there.
const ABSENT: &str = "lifeboat/v1/absent";

/// What was found of a location that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// This machine's clock less the store's; none where the store does not tell.
    pub clock_skew: Option<SignedDuration>,
    /// The claim that this cluster holds. None for a ReadOnly location.
    pub claim: Option<Claimed>,
}

impl Checked {
    /// True where the clock is so far from the store's that ages can't be trusted.
    pub fn clock_is_off(&self) -> bool {
        self.clock_skew.is_some_and(|skew| skew.abs() > SKEW_LIMIT)
    }
}

/// Checks that a location can be used, in less than a minute.
///
/// Reading is proven by a listing and a read, and nothing is written to a ReadOnly location. For a
/// ReadWrite one the claim is ensured, and it is proven that the store keeps its word on create-only
/// puts: the claim's own bytes are put again at its own key, which a good store refuses and which
/// changes nothing at a bad one. So no probe object is ever left, and object lock may be on.
pub async fn validate(
    location: &Location,
    claimant: &Claimant<'_>,
    now: Timestamp,
) -> Result<Checked, StorageError> {
    let location = location.clone().without_patience();
    prove_reading(&location).await?;
    let claim = if location.read_only() {
        None
    } else {
        let claimed = ensure_claim(&location, claimant, now).await?;
        prove_create_only(&location, claimant.cluster, &claimed).await?;
        Some(claimed)
    };
    let date = location.server_date().await;
    Ok(Checked {
        clock_skew: date.map(|date| Timestamp::now().duration_since(date)),
        claim,
    })
}

async fn prove_reading(location: &Location) -> Result<(), StorageError> {
    let first = location.list("lifeboat/v1", None)?.try_next().await?;
    let (key, size) = match &first {
        Some(entry) => (entry.key.as_str(), entry.size),
        None => (ABSENT, 0),
    };
    // Opening it is enough to be allowed or not; an object that is gone by now is no fault.
    location.read(key, 0, size).await?;
    Ok(())
}

async fn prove_create_only(
    location: &Location,
    cluster: &str,
    claimed: &Claimed,
) -> Result<(), StorageError> {
    let key = claim_key(cluster, claimed.number);
    let Some(bytes) = location.get_small(&key, CLAIM_LIMIT).await? else {
        return Err(StorageError::passing(
            Reason::StoreError,
            format!(
                "{key} is gone just after it was written or listed; see what deletes objects in this bucket"
            ),
        ));
    };
    match location.put_create_strict(&key, bytes).await? {
        Created::Exists => Ok(()),
        Created::Created => Err(StorageError::lasting(
            Reason::StoreUnsuitable,
            format!(
                "the {} writes over objects although it was asked not to (If-None-Match: *): two \
                 runs could commit one slot; use a store that has conditional puts",
                location.place()
            ),
        )),
    }
}
