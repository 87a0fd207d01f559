//! One controller: its watches, its waits after errors, its numbers.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::NamespaceResourceScope;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::utils::{PredicateConfig, predicates};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::backoff::Failures;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::server::Health;

/// Objects of a kind that are looked at at once: one whose store is slow holds up no other.
const AT_ONCE: u16 = 32;

/// Where objects are watched.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) client: Client,
    pub(super) namespace: Option<String>,
}

/// What every controller is run with.
#[derive(Clone)]
pub(super) struct Drive {
    pub(super) scope: Scope,
    pub(super) context: Arc<Context>,
    pub(super) health: Arc<Health>,
    pub(super) shutdown: CancellationToken,
}

/// The object to look at.
pub(super) struct At {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) context: Arc<Context>,
}

/// A kind that can be watched.
pub(super) trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

type Metadata<K> = PartialObjectMeta<K>;

impl Drive {
    fn api<K: Watched>(&self) -> Api<Metadata<K>> {
        let client = self.scope.client.clone();
        match &self.scope.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// A controller of a kind.
    pub(super) fn of<K: Watched>(&self) -> (Controller<Metadata<K>>, Store<Metadata<K>>) {
        let (store, writer) = reflector::store();
        let trigger = watcher(self.api::<K>(), watcher::Config::default())
            .default_backoff()
            .modify(forget)
            .reflect(writer)
            .applied_objects();
        (Controller::for_stream(trigger, store.clone()), store)
    }

    /// A controller of a kind that is not called by changes of the status alone.
    pub(super) fn of_changed_specs<K: Watched>(
        &self,
    ) -> (Controller<Metadata<K>>, Store<Metadata<K>>) {
        let (store, writer) = reflector::store();
        let trigger = watcher(self.api::<K>(), watcher::Config::default())
            .default_backoff()
            .modify(forget)
            .reflect(writer)
            .applied_objects()
            .predicate_filter(predicates::generation, PredicateConfig::default());
        (Controller::for_stream(trigger, store.clone()), store)
    }

    /// Calls the object that the label of a Job or pod names when that changes.
    pub(super) fn follow_runs<K: Watched>(
        &self,
        controller: Controller<Metadata<K>>,
        label: &'static str,
    ) -> Controller<Metadata<K>> {
        let controller = controller.owns_stream(self.labelled::<Job>(label));
        self.follow::<K, Pod>(controller, label)
    }

    /// Calls the object that the label of another one names when that changes.
    pub(super) fn follow<K: Watched, Other: Watched>(
        &self,
        controller: Controller<Metadata<K>>,
        label: &'static str,
    ) -> Controller<Metadata<K>> {
        controller.watches_stream(self.labelled::<Other>(label), move |other| {
            named_by(label, &other)
        })
    }

    /// Changes of objects that carry a label.
    fn labelled<K: Watched>(
        &self,
        label: &str,
    ) -> impl Stream<Item = Result<Metadata<K>, watcher::Error>> + Send + use<K> {
        watcher(self.api::<K>(), watcher::Config::default().labels(label))
            .default_backoff()
            .touched_objects()
    }

    /// Runs a controller until shutdown.
    pub(super) fn run<K, Look, Looking>(
        &self,
        kind: &'static str,
        controller: Controller<Metadata<K>>,
        store: Store<Metadata<K>>,
        look: Look,
    ) -> impl Future<Output = ()> + use<K, Look, Looking>
    where
        K: Watched,
        Look: Fn(At) -> Looking + Send + Sync + 'static,
        Looking: Future<Output = Result<Action, Error>> + Send + 'static,
    {
        let failures = Arc::new(Failures::default());
        let health = self.health.clone();
        let filled = async move {
            if store.wait_until_ready().await.is_ok() {
                health.watch_filled();
            }
        };
        let waits = failures.clone();
        let events = controller
            .with_config(Config::default().concurrency(AT_ONCE))
            .graceful_shutdown_on(self.shutdown.clone().cancelled_owned())
            .run(
                move |object: Arc<Metadata<K>>, context| {
                    let at = At {
                        namespace: object.namespace().unwrap_or_default(),
                        name: object.name_any(),
                        context: Arc::clone(&context),
                    };
                    measure(kind, key(&*object), look(at), failures.clone(), context)
                },
                move |object, _, _| Action::requeue(waits.add(&key(&*object))),
                self.context.clone(),
            );
        async move {
            let drained = events.for_each(|_| std::future::ready(()));
            tokio::join!(filled, drained);
        }
    }
}

/// The object that a label names.
fn named_by<K: Watched>(label: &str, object: &impl ResourceExt) -> Option<ObjectRef<Metadata<K>>> {
    let name = object.labels().get(label)?;
    let namespace = object.namespace()?;
    Some(ObjectRef::new(name).within(&namespace))
}

/// What no reconcile looks at is not kept: it is most of an object's metadata.
fn forget<K>(object: &mut Metadata<K>) {
    let meta = &mut object.metadata;
    meta.managed_fields = None;
    meta.annotations = None;
}

fn key(object: &impl ResourceExt) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

async fn measure(
    kind: &'static str,
    key: String,
    looking: impl Future<Output = Result<Action, Error>>,
    failures: Arc<Failures>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let began = Instant::now();
    let result = looking.await;
    context
        .metrics
        .reconciled(kind, began.elapsed(), result.is_ok());
    match &result {
        Ok(_) => failures.clear(&key),
        Err(error) => tracing::warn!(kind, object = key, %error, "a reconcile was stopped"),
    }
    result
}
