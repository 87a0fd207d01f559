//! Writes statuses: whole, with the resourceVersion that was read, and not at all when nothing
//! changed.

use std::fmt::Debug;

use kube::api::PostParams;
use kube::core::object::HasStatus;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;

/// Replaces the status of `object`, which must be as it was read: another writer in between is
/// answered with a conflict, and the reconcile is done again on what is there then.
///
/// Gives the object as it is afterwards.
pub async fn replace<K>(api: &Api<K>, object: &K, status: K::Status) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + HasStatus + Clone + Debug + DeserializeOwned + Serialize,
    K::Status: PartialEq,
{
    if object.status() == Some(&status) {
        return Ok(object.clone());
    }
    let name = object.name_any();
    let mut next = object.clone();
    next.meta_mut().managed_fields = None;
    *next.status_mut() = Some(status);
    api.replace_status(&name, &PostParams::default(), &next)
        .await
        .map_err(Error::api(
            "write the status of",
            format!("{} {name}", K::kind(&())),
        ))
}
