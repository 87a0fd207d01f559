//! Nothing is written or deleted where another cluster holds the claim.

use super::{JobError, Run};
use crate::manifest::Identity;
use crate::storage::{Claimant, Location, ensure_claim};

/// Makes sure that the cluster of `identity` holds its name in the location; `take_over_from` is
/// the location's `spec.takeOverFrom`.
pub(super) async fn hold(
    run: &Run,
    location: &Location,
    identity: &Identity,
    take_over_from: Option<&str>,
) -> Result<(), JobError> {
    let claimant = Claimant {
        cluster: &identity.cluster,
        cluster_uid: &identity.cluster_uid,
        take_over_from,
    };
    let held = ensure_claim(location, &claimant, run.clock.now());
    run.clock.within(held).await?;
    Ok(())
}
