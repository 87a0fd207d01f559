//! What the stand-in API server holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// An answer that is an error: code, reason, message.
pub(super) type Refusal = (u16, &'static str, String);

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    all: BTreeMap<Place, Value>,
    version: u64,
    created: u64,
}

impl Objects {
    pub(super) fn get(&self, place: &Place) -> Result<Value, Refusal> {
        self.all.get(place).cloned().ok_or_else(|| missing(place))
    }

    pub(super) fn list(&self, plural: &str, namespace: &str, selector: &str) -> Vec<Value> {
        self.all
            .iter()
            .filter(|(place, _)| place.plural == plural && place.namespace == namespace)
            .filter(|(_, object)| matches(object, selector))
            .map(|(_, object)| object.clone())
            .collect()
    }

    pub(super) fn create(
        &mut self,
        place: &Place,
        mut object: Value,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        if self.all.contains_key(place) {
            let message = format!("{} \"{}\" already exists", place.plural, place.name);
            return Err((409, "AlreadyExists", message));
        }
        self.created += 1;
        let meta = &mut object["metadata"];
        meta["namespace"] = json!(place.namespace);
        meta["uid"] = json!(format!("uid-{}-{}", place.plural, self.created));
        meta["generation"] = json!(1);
        // The API server keeps whole seconds.
        let created = Timestamp::from_second(now.as_second()).unwrap();
        meta["creationTimestamp"] = json!(created.to_string());
        // A CRD with a status subresource, and Jobs, drop what a creator says of the status.
        object.as_object_mut().unwrap().remove("status");
        Ok(self.store(place, object))
    }

    pub(super) fn replace(
        &mut self,
        place: &Place,
        given: &Value,
        status_only: bool,
    ) -> Result<Value, Refusal> {
        let old = self.get(place)?;
        let version = &given["metadata"]["resourceVersion"];
        if version.is_string() && *version != old["metadata"]["resourceVersion"] {
            let message = format!("{} has been modified", place.name);
            return Err((409, "Conflict", message));
        }
        let mut next = old.clone();
        if status_only {
            next["status"] = given["status"].clone();
        } else {
            next["spec"] = given["spec"].clone();
            if given["metadata"]["annotations"].is_object() {
                next["metadata"]["annotations"] = given["metadata"]["annotations"].clone();
            }
            if next["spec"] != old["spec"] {
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                next["metadata"]["generation"] = json!(generation);
            }
        }
        Ok(if next == old {
            old
        } else {
            self.store(place, next)
        })
    }

    /// The scale of a workload: its selector is its name, its pods are those that it counts.
    pub(super) fn scale(&self, place: &Place) -> Result<Value, Refusal> {
        let workload = self.get(place)?;
        Ok(json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {
                "name": place.name,
                "namespace": place.namespace,
                "resourceVersion": workload["metadata"]["resourceVersion"],
            },
            "spec": {"replicas": workload["spec"]["replicas"]},
            "status": {
                "replicas": workload["status"]["replicas"].as_i64().unwrap_or(0),
                "selector": format!("app={}", place.name),
            },
        }))
    }

    /// Scales a workload, on the version that the patch names.
    pub(super) fn set_scale(&mut self, place: &Place, patch: &Value) -> Result<Value, Refusal> {
        let mut next = self.get(place)?;
        next["spec"]["replicas"] = patch["spec"]["replicas"].clone();
        next["metadata"]["resourceVersion"] = patch["metadata"]["resourceVersion"].clone();
        self.replace(place, &next, false)?;
        self.scale(place)
    }

    /// Deletes an object and, as the garbage collector does, what it owns.
    pub(super) fn delete(&mut self, place: &Place, uid: Option<&str>) -> Result<Value, Refusal> {
        let object = self.get(place)?;
        let found = object["metadata"]["uid"].clone();
        if uid.is_some_and(|uid| found != json!(uid)) {
            return Err((
                409,
                "Conflict",
                "the UID in the precondition differs".to_owned(),
            ));
        }
        self.all.remove(place);
        self.version += 1;
        let owned: Vec<Place> = self
            .all
            .iter()
            .filter(|(_, child)| {
                child["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == found))
            })
            .map(|(place, _)| place.clone())
            .collect();
        for place in owned {
            let _ = self.delete(&place, None);
        }
        Ok(object)
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn store(&mut self, place: &Place, mut object: Value) -> Value {
        if place.plural != "events" {
            self.version += 1;
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.all.insert(place.clone(), object.clone());
        object
    }
}

fn missing(place: &Place) -> Refusal {
    let message = format!("{} \"{}\" not found", place.plural, place.name);
    (404, "NotFound", message)
}

/// `label=value`, or `label` where any value does.
fn matches(object: &Value, selector: &str) -> bool {
    if selector.is_empty() {
        return true;
    }
    let labels = &object["metadata"]["labels"];
    match selector.split_once('=') {
        Some((label, value)) => labels[label] == json!(value),
        None => labels[selector].is_string(),
    }
}
