//! A run for a person: the same work as in a pod, without a pod's bounds.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::api::order::Bounds;
use crate::job::{JobError, Run};

/// Whoever watches a command can end it; this only bounds what nobody watches.
const AT_MOST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A run that starts now.
pub(super) fn for_people() -> Result<Arc<Run>, JobError> {
    let now = jiff::Timestamp::now();
    let bounds = Bounds {
        timeout_seconds: AT_MOST.unsigned_abs().as_secs(),
        not_after: now.checked_add(AT_MOST).unwrap_or(jiff::Timestamp::MAX),
    };
    Ok(Arc::new(Run::start("by-hand".to_owned(), &bounds, now)?))
}
