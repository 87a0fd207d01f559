//! Makes children: by POST, and where the name is taken the one that is there is adopted only
//! after it was found to be ours.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;

/// A child that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child<K> {
    /// It was made now.
    Created(K),
    /// It was there already, and is ours.
    Adopted(K),
}

impl<K> Child<K> {
    /// The object as the API server has it.
    pub fn into_inner(self) -> K {
        match self {
            Self::Created(child) | Self::Adopted(child) => child,
        }
    }
}

/// Creates `child`; where its name is taken, `check` looks at the one that is there and says what
/// tells it from ours, if anything does.
pub async fn create_or_adopt<K>(
    api: &Api<K>,
    child: &K,
    check: impl FnOnce(&K) -> Result<(), String>,
) -> Result<Child<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    let name = child.name_any();
    let what = || format!("{} {name}", K::kind(&()));
    match api.create(&PostParams::default(), child).await {
        Ok(created) => return Ok(Child::Created(created)),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(Error::api("create", what())(error)),
    }
    let existing = api.get(&name).await.map_err(Error::api("get", what()))?;
    match check(&existing) {
        Ok(()) => Ok(Child::Adopted(existing)),
        Err(problem) => Err(Error::Foreign {
            what: what(),
            problem,
        }),
    }
}

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// All objects with a label of this value, read page by page.
pub async fn list<K>(api: &Api<K>, label: &str, value: &str) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut params = ListParams::default()
        .labels(&format!("{label}={value}"))
        .limit(PAGE);
    let mut all = Vec::new();
    loop {
        let page = api
            .list(&params)
            .await
            .map_err(Error::api("list", format!("{} of {value}", K::plural(&()))))?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// Deletes the object of this uid, its own children in the background. Its absence is success.
pub async fn delete<K>(api: &Api<K>, name: &str, uid: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        // 404: it is gone. 409: another of its name took its place.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(Error::api("delete", format!("{} {name}", K::kind(&())))(
            error,
        )),
    }
}

/// The owner reference of a controller's child.
pub fn owned_by<K: Resource<DynamicType = ()>>(owner: &K) -> Result<OwnerReference, Error> {
    owner
        .controller_owner_ref(&())
        .ok_or(Error::Incomplete("name or uid"))
}

/// True where the object's controller is the one of this uid.
pub fn is_owned_by(child: &impl ResourceExt, owner_uid: &str) -> bool {
    child
        .owner_references()
        .iter()
        .any(|owner| owner.uid == owner_uid && owner.controller == Some(true))
}

/// Says what is wrong where the object's controller is not the one of this uid.
pub fn check_owner(child: &impl ResourceExt, owner_uid: &str) -> Result<(), String> {
    if is_owned_by(child, owner_uid) {
        Ok(())
    } else {
        Err("it has another owner".to_owned())
    }
}

/// Says what is wrong where a label has not this value.
pub fn check_label(child: &impl ResourceExt, label: &str, value: &str) -> Result<(), String> {
    match child.labels().get(label) {
        Some(found) if found == value => Ok(()),
        _ => Err(format!("its label {label} is not {value}")),
    }
}
