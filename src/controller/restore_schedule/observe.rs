//! What is known of a RestoreSchedule: reads only.

use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::state::{Bucket, Observed, replayed};
use super::status;
use crate::api::conditions::Reason;
use crate::api::{Restore, RestoreSchedule, RestoreScheduleStatus, labels};
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::restore::{Problem, TargetLease, line_of, who_works};
use crate::controller::store::{self, LocationState};
use crate::manifest::chain::Next;
use crate::storage::Location;
use crate::transfer::{TransferError, catalog};

/// The longest that one look at the bucket takes.
const LOOK: Duration = Duration::from_secs(60);

/// Reads what [`super::decide::decide`] needs to know: from the API server and the bucket, nothing
/// from a cache. Manifests never change, but what a listing shows does.
pub(super) async fn observe(
    context: &Context,
    schedule: RestoreSchedule,
) -> Result<Observed, Error> {
    let namespace = schedule.namespace().ok_or(Error::Incomplete("namespace"))?;
    let restores = restores(context, &namespace, &schedule).await?;
    let mut seen = Observed {
        schedule,
        restores,
        bucket: Bucket::NotLooked,
        target: TargetLease::Free,
    };
    if seen.is_promoted() {
        let target = &seen.schedule.spec.template.spec.target;
        seen.target = who_works(context, target, context.clock.now()).await?;
    }
    if seen.needs_bucket() {
        seen.bucket = seen.look_at_bucket(context, &namespace).await?;
    }
    Ok(seen)
}

/// The schedule's Restores, oldest first.
async fn restores(
    context: &Context,
    namespace: &str,
    schedule: &RestoreSchedule,
) -> Result<Vec<Restore>, Error> {
    let uid = schedule.uid().ok_or(Error::Incomplete("uid"))?;
    let api: Api<Restore> = Api::namespaced(context.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("{}={uid}", labels::SCHEDULE_UID));
    let listed = api.list(&params).await.map_err(Error::api(
        "list",
        format!("Restores of RestoreSchedule {}", schedule.name_any()),
    ))?;
    let mut restores = listed.items;
    restores.sort_by_cached_key(|restore| {
        let created = restore.creation_timestamp().map(|time| time.0);
        (created, restore.name_any())
    });
    Ok(restores)
}

impl Observed {
    async fn look_at_bucket(&self, context: &Context, namespace: &str) -> Result<Bucket, Error> {
        let source = &self.schedule.spec.source;
        let name = &source.storage.name;
        let spec = match store::look_up(context, namespace, name).await? {
            LocationState::Ready(spec) => spec,
            LocationState::Missing => {
                return Ok(Bucket::Blocked(Problem::new(
                    Reason::StorageNotFound,
                    format!("there is no StorageLocation {name} in this namespace; create it"),
                )));
            }
            LocationState::NotReady {
                reason, message, ..
            } => {
                return Ok(Bucket::Blocked(Problem::new(
                    reason,
                    format!("the StorageLocation {name} is not Ready: {message}"),
                )));
            }
        };
        let location = match store::open(context, namespace, &spec).await? {
            Ok(location) => location,
            Err(fault) => return Ok(Bucket::Blocked(fault.into())),
        };
        let line = line_of(source);
        let look = self.read(&location, &line);
        let read = tokio::time::timeout(LOOK, look).await;
        Ok(match read {
            Ok(Ok(bucket)) => bucket,
            Ok(Err(error)) => Bucket::Blocked(Problem::new(error.reason(), error.to_string())),
            Err(_) => Bucket::Blocked(Problem::new(
                Reason::StoreError,
                format!(
                    "{} did not answer within {} s",
                    location.place(),
                    LOOK.as_secs()
                ),
            )),
        })
    }

    async fn read(&self, location: &Location, line: &str) -> Result<Bucket, TransferError> {
        // What decides is the status as it will be once ended Restores are taken over.
        let mut status: RestoreScheduleStatus = self.schedule.status.clone().unwrap_or_default();
        status::fold_ended(self, &mut status);
        let last = replayed(&status);
        let after = last.as_ref().map(|last| last.slot.as_str());
        let newer = catalog::list_slots(location, line, after).await?;
        let newer = newer.into_iter().next_back().map(|entry| entry.slot);
        let idle = status.active.is_none() && !self.schedule.spec.suspend;
        let next = match &newer {
            Some(_) if idle && self.starts_over() => {
                Some(catalog::next_to_replay(location, line, None).await?)
            }
            Some(_) if idle => Some(catalog::next_to_replay(location, line, last.as_ref()).await?),
            _ => None,
        };
        // Void markers only: nothing that could be replayed is newer.
        let newer = newer.filter(|_| next != Some(Next::UpToDate));
        Ok(Bucket::Read { newer, next })
    }
}
