//! A stand-in for the API server, as far as the controllers use it: create, get, list by label,
//! replace, replace the status, delete, resource versions, uids, generations, owners, scale. It keeps
//! no schema and no watches.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::SetClock;
use super::faults::{Course, Fault, Faults};
use super::objects::{Objects, Place, Refusal};
use crate::controller::context::Clock;

/// The stand-in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StandInApiServer(Arc<Inner>);

struct Inner {
    objects: Mutex<Objects>,
    faults: Arc<Faults>,
    clock: Arc<SetClock>,
}

impl StandInApiServer {
    pub(crate) fn new(faults: Arc<Faults>, clock: Arc<SetClock>) -> Self {
        Self(Arc::new(Inner {
            objects: Mutex::default(),
            faults,
            clock,
        }))
    }

    /// A client whose calls are counted and may fail.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Creates an object behind the controllers' back.
    pub(crate) fn put<K>(&self, object: &K) -> K
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let place = place_of(object);
        let now = self.0.clock.now();
        let value = typed::<K>(serde_json::to_value(object).unwrap());
        let mut objects = self.0.objects.lock().unwrap();
        serde_json::from_value(objects.create(&place, value, now).unwrap()).unwrap()
    }

    /// Changes an object behind the controllers' back, its status included.
    pub(crate) fn change<K>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut K))
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let place = Place {
            plural: K::plural(&()).into_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let mut objects = self.0.objects.lock().unwrap();
        let mut object: K = serde_json::from_value(objects.get(&place).unwrap()).unwrap();
        change(&mut object);
        let value = typed::<K>(serde_json::to_value(object).unwrap());
        let mut fresh = value.clone();
        fresh["metadata"]["resourceVersion"] = Value::Null;
        objects.replace(&place, &fresh, false).unwrap();
        objects.replace(&place, &fresh, true).unwrap();
    }

    /// All objects of a kind.
    pub(crate) fn all<K>(&self, namespace: &str) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let objects = self.0.objects.lock().unwrap();
        objects
            .list(&K::plural(&()), namespace, "")
            .into_iter()
            .map(|value| serde_json::from_value(value).unwrap())
            .collect()
    }

    /// Deletes an object behind the controllers' back.
    pub(crate) fn delete<K: Resource<DynamicType = ()>>(&self, namespace: &str, name: &str) {
        let place = Place {
            plural: K::plural(&()).into_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let mut objects = self.0.objects.lock().unwrap();
        objects.delete(&place, None).unwrap();
    }

    /// Changes with every change of any object, events apart.
    pub(crate) fn version(&self) -> u64 {
        self.0.objects.lock().unwrap().version()
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        // Another controller may have its turn between any two calls.
        tokio::task::yield_now().await;
        let what = format!("{} {}", parts.method, parts.uri.path());
        let is_write = parts.method != Method::GET;
        let course = self.0.faults.course(&what, is_write);
        if let Course::Fail(fault) = course {
            return failure(fault);
        }
        let metadata_only = parts
            .headers
            .get(http::header::ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("PartialObjectMetadata"));
        let query = parts.uri.query().unwrap_or_default();
        let done = self.perform(&parts.method, parts.uri.path(), query, &bytes);
        if let Course::DoAndFail(fault) = course {
            return failure(fault);
        }
        match done {
            Ok((code, mut value)) => {
                if metadata_only {
                    value = json!({
                        "apiVersion": "meta.k8s.io/v1",
                        "kind": "PartialObjectMetadata",
                        "metadata": value["metadata"],
                    });
                }
                respond(code, &value)
            }
            Err((code, reason, message)) => respond(
                StatusCode::from_u16(code).unwrap(),
                &status(code, reason, &message),
            ),
        }
    }

    fn perform(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<(StatusCode, Value), Refusal> {
        let now: Timestamp = self.0.clock.now();
        let route = Route::parse(path);
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut objects = self.0.objects.lock().unwrap();
        let place = |name: &str| Place {
            plural: route.plural.clone(),
            namespace: route.namespace.clone(),
            name: name.to_owned(),
        };
        match (method.as_str(), route.name.as_deref()) {
            ("GET", Some(name)) if route.is_scale => {
                Ok((StatusCode::OK, objects.scale(&place(name))?))
            }
            ("PATCH", Some(name)) if route.is_scale => {
                Ok((StatusCode::OK, objects.set_scale(&place(name), &body)?))
            }
            // Only events are patched, and nobody reads them.
            ("GET" | "PATCH", Some(name)) => Ok((StatusCode::OK, objects.get(&place(name))?)),
            ("GET", None) => {
                let selector = url::form_urlencoded::parse(query.as_bytes())
                    .find(|(key, _)| key == "labelSelector")
                    .map(|(_, value)| value.into_owned())
                    .unwrap_or_default();
                let items = objects.list(&route.plural, &route.namespace, &selector);
                let list =
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items});
                Ok((StatusCode::OK, list))
            }
            ("POST", None) => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                Ok((
                    StatusCode::CREATED,
                    objects.create(&place(&name), body, now)?,
                ))
            }
            ("PUT", Some(name)) => {
                let replaced = objects.replace(&place(name), &body, route.is_status)?;
                Ok((StatusCode::OK, replaced))
            }
            ("DELETE", Some(name)) => {
                let uid = body["preconditions"]["uid"].as_str();
                objects.delete(&place(name), uid)?;
                Ok((
                    StatusCode::OK,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
                ))
            }
            other => panic!("{other:?} {path}"),
        }
    }
}

impl tower::Service<Request<Body>> for StandInApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}

/// `/apis/<group>/<version>/namespaces/<namespace>/<plural>[/<name>[/status|scale]]`.
struct Route {
    namespace: String,
    plural: String,
    name: Option<String>,
    is_status: bool,
    is_scale: bool,
}

impl Route {
    fn parse(path: &str) -> Self {
        let (_, rest) = path.split_once("/namespaces/").expect("a namespaced path");
        let mut parts = rest.split('/').map(str::to_owned);
        let (namespace, plural) = (parts.next().unwrap(), parts.next().unwrap());
        let (name, subresource) = (parts.next(), parts.next());
        Self {
            namespace,
            plural,
            name,
            is_status: subresource.as_deref() == Some("status"),
            is_scale: subresource.as_deref() == Some("scale"),
        }
    }
}

fn place_of<K: Resource<DynamicType = ()>>(object: &K) -> Place {
    Place {
        plural: K::plural(&()).into_owned(),
        namespace: object.namespace().unwrap(),
        name: object.name_any(),
    }
}

fn typed<K: Resource<DynamicType = ()>>(mut value: Value) -> Value {
    value["apiVersion"] = json!(K::api_version(&()));
    value["kind"] = json!(K::kind(&()));
    value
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

fn failure(fault: Fault) -> Response<Body> {
    let (code, reason) = match fault {
        Fault::Conflict => (409, "Conflict"),
        Fault::TooManyRequests => (429, "TooManyRequests"),
        Fault::KillBefore | Fault::KillAfter | Fault::LostAnswer | Fault::ServerError => {
            (500, "InternalError")
        }
    };
    let code_type = StatusCode::from_u16(code).unwrap();
    respond(code_type, &status(code, reason, "a fault was asked for"))
}

fn respond(code: StatusCode, value: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Body::from(serde_json::to_vec(value).unwrap()))
        .unwrap()
}
