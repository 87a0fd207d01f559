//! Claims: which cluster may write below a cluster's name.
//!
//! Two clusters that were given one name would write over each other's line of backups. So before
//! the first write an operator puts `lifeboat/v1/<cluster>/claims/<n>.json`, create-only, with its
//! cluster's uid; it writes only while the highest claim carries that uid. A rebuilt cluster takes
//! over by naming the uid that it replaces.

#[cfg(test)]
mod tests;

use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::check_path;
use super::{Created, Location, StorageError};
use crate::api::conditions::Reason;

/// The version of the format that claims belong to.
const FORMAT_VERSION: u32 = 1;
/// The most bytes of a claim.
const CLAIM_LIMIT: usize = 4 * 1024;
/// The most claims of one name: each is a cluster that was rebuilt.
const CLAIMS_LIMIT: usize = 64;
/// The highest number that a claim may have.
const NUMBER_LIMIT: u32 = 100_000;
/// Races that are lost before it is left to the next round.
const ROUNDS: usize = 3;

/// A claim as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Version of the format.
    pub format_version: u32,
    /// Name of the cluster: that of the directory.
    pub cluster: String,
    /// Uid of the cluster's kube-system namespace.
    pub cluster_uid: String,
    /// The uid that this claim replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over_from: Option<String>,
    /// When it was made.
    pub time: Timestamp,
}

/// What the claims mean to one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The highest claim is its own.
    Mine {
        /// Number of the claim.
        number: u32,
    },
    /// Nobody claims the name.
    Free,
    /// The highest claim is that of the cluster which this one may replace.
    TakeOver {
        /// Number that the next claim gets.
        next: u32,
    },
    /// Another cluster holds it.
    Other {
        /// Uid of that cluster.
        cluster_uid: String,
    },
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Uid of its kube-system namespace.
    pub cluster_uid: &'a str,
    /// `spec.takeOverFrom`.
    pub take_over_from: Option<&'a str>,
}

/// A claim that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Number of the claim.
    pub number: u32,
    /// True where it was made just now.
    pub new: bool,
}

/// Decides what the claims of one name mean to the claimant. Order does not matter; the highest
/// number holds.
///
/// A take-over is honoured once: a `takeOverFrom` that was left in a spec must not take the name
/// back from a cluster that took it over later.
pub fn evaluate(claims: &[(u32, Claim)], claimant: &Claimant<'_>) -> Verdict {
    let Some((number, highest)) = claims.iter().max_by_key(|(number, _)| *number) else {
        return Verdict::Free;
    };
    if highest.cluster_uid == claimant.cluster_uid {
        return Verdict::Mine { number: *number };
    }
    let from_highest = Some(highest.cluster_uid.as_str());
    let done_before = claims.iter().any(|(_, claim)| {
        claim.cluster_uid == claimant.cluster_uid
            && claim.taken_over_from.as_deref() == claimant.take_over_from
    });
    if claimant.take_over_from == from_highest && !done_before {
        return Verdict::TakeOver { next: number + 1 };
    }
    Verdict::Other {
        cluster_uid: highest.cluster_uid.clone(),
    }
}

/// Makes sure that the claimant holds its name here: finds its claim, or makes one where the name is
/// free or may be taken over. Who loses a race looks again.
pub async fn ensure_claim(
    location: &Location,
    claimant: &Claimant<'_>,
    now: Timestamp,
) -> Result<Claimed, StorageError> {
    check_name(claimant.cluster)?;
    for _ in 0..ROUNDS {
        let claims = read_claims(location, claimant.cluster).await?;
        let (number, taken_over_from) = match evaluate(&claims, claimant) {
            Verdict::Mine { number } => return Ok(Claimed { number, new: false }),
            Verdict::Free => (1, None),
            Verdict::TakeOver { next } => (next, claimant.take_over_from.map(ToOwned::to_owned)),
            Verdict::Other { cluster_uid } => {
                return Err(claimed_by(claimant.cluster, &cluster_uid));
            }
        };
        let claim = Claim {
            format_version: FORMAT_VERSION,
            cluster: claimant.cluster.to_owned(),
            cluster_uid: claimant.cluster_uid.to_owned(),
            taken_over_from,
            time: now,
        };
        let bytes = serde_json::to_vec_pretty(&claim).map_err(|error| {
            StorageError::lasting(
                Reason::InternalError,
                format!("a claim can't be written: {error}"),
            )
        })?;
        let key = claim_key(claimant.cluster, number);
        if location.put_create(&key, bytes).await? == Created::Created {
            return Ok(Claimed { number, new: true });
        }
    }
    Err(StorageError::passing(
        Reason::ClaimedByAnother,
        format!(
            "several clusters try to claim the name {} at once; see that each cluster has a name of its own",
            claimant.cluster
        ),
    ))
}

/// Refuses two locations that are one place under two names (an endpoint with two host names): what
/// is deleted in one would be gone from the other. Both are claimed by now, and a claim tells its time
/// to the nanosecond, so the same claim of the same age is the same object.
pub async fn ensure_two_places(
    from: &Location,
    to: &Location,
    cluster: &str,
) -> Result<(), StorageError> {
    let dir = format!("lifeboat/v1/{cluster}/claims");
    let here = from.list_sorted(&dir, None, CLAIMS_LIMIT).await?;
    let there = to.list_sorted(&dir, None, CLAIMS_LIMIT).await?;
    let (Some(one), Some(other)) = (here.last(), there.last()) else {
        return Ok(());
    };
    if one != other {
        return Ok(());
    }
    let read = |location: &Location| {
        let (location, key) = (location.clone(), one.key.clone());
        async move { location.get_small(&key, CLAIM_LIMIT).await }
    };
    if read(from).await? == read(to).await? {
        return Err(one_place(to.place()));
    }
    Ok(())
}

fn one_place(place: &str) -> StorageError {
    StorageError::lasting(
        Reason::InvalidSpec,
        format!(
            "the copies would go into the {place}, where the backups are; give them a bucket or a prefix of their own"
        ),
    )
}

/// Key of a claim.
pub(super) fn claim_key(cluster: &str, number: u32) -> String {
    format!("lifeboat/v1/{cluster}/claims/{number}.json")
}

async fn read_claims(
    location: &Location,
    cluster: &str,
) -> Result<Vec<(u32, Claim)>, StorageError> {
    let dir = format!("lifeboat/v1/{cluster}/claims");
    let entries: Vec<_> = location.list_sorted(&dir, None, CLAIMS_LIMIT).await?;
    let numbers = entries
        .iter()
        .filter_map(|entry| number_of(&entry.key, &dir));
    futures::stream::iter(numbers.map(Ok))
        .and_then(|number| async move {
            let key = claim_key(cluster, number);
            let bytes = location.get_small(&key, CLAIM_LIMIT).await?;
            let bytes = bytes.ok_or_else(|| {
                StorageError::passing(
                    Reason::StoreError,
                    format!("{key} was listed but is not there"),
                )
            })?;
            Ok((number, parse(&key, cluster, number, &bytes)?))
        })
        .try_collect()
        .await
}

/// The number of `<dir>/<n>.json`; what is named otherwise is no claim.
fn number_of(key: &str, dir: &str) -> Option<u32> {
    let digits = key
        .strip_prefix(dir)?
        .strip_prefix('/')?
        .strip_suffix(".json")?;
    let number = digits.parse().ok()?;
    // One spelling only: no sign, no leading zero.
    (digits == format!("{number}")).then_some(number)
}

fn parse(key: &str, cluster: &str, number: u32, bytes: &[u8]) -> Result<Claim, StorageError> {
    let invalid = |problem: &str| {
        StorageError::lasting(
            Reason::ManifestInvalid,
            format!("{key} {problem}; see who wrote it, and delete it if it was not Lifeboat"),
        )
    };
    let claim: Claim = serde_json::from_slice(bytes).map_err(|_| invalid("is not a claim"))?;
    if claim.format_version != FORMAT_VERSION {
        return Err(invalid(
            "has a format version that this Lifeboat does not read",
        ));
    }
    if claim.cluster != cluster {
        return Err(invalid("names another cluster than its directory"));
    }
    let plain = |uid: &str| {
        (1..=64).contains(&uid.len()) && uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if !plain(&claim.cluster_uid) || !claim.taken_over_from.as_deref().is_none_or(plain) {
        return Err(invalid("has a uid that can't be"));
    }
    if !(1..=NUMBER_LIMIT).contains(&number) {
        return Err(invalid("has a number that can't be"));
    }
    Ok(claim)
}

fn check_name(cluster: &str) -> Result<(), StorageError> {
    if cluster.contains('/') || check_path(cluster).is_err() {
        return Err(StorageError::lasting(
            Reason::InvalidSpec,
            "the cluster's name takes letters, digits and dashes; set it in the chart's values",
        ));
    }
    Ok(())
}

fn claimed_by(cluster: &str, uid: &str) -> StorageError {
    StorageError::lasting(
        Reason::ClaimedByAnother,
        format!(
            "the name {cluster} is claimed here by the cluster with uid {uid}; give this cluster a \
             name of its own, or, if that cluster is gone for good, set spec.takeOverFrom: {uid}"
        ),
    )
}
