//! Events: what people see in `kubectl describe`.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::api::conditions::Reason;

/// Kubernetes takes at most 1 kB.
const NOTE_LIMIT: usize = 1000;

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True where a person should look.
    pub warning: bool,
    /// Why.
    pub reason: Reason,
    /// What was done: `Export`, for example.
    pub action: &'static str,
    /// A sentence.
    pub message: String,
}

impl Note {
    /// An event about something that went as it should.
    pub fn normal(reason: Reason, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            action,
            message: message.into(),
        }
    }

    /// An event that a person should look at.
    pub fn warning(reason: Reason, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            action,
            message: message.into(),
        }
    }
}

/// Publishes events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events of one controller process.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: "lifeboat.dev/controller".to_owned(),
            instance,
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Publishes an event about `object`. A failure is logged: no state depends on an event.
    pub async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, note: Note) {
        let Note {
            warning,
            reason,
            action,
            message,
        } = note;
        let mut note = String::new();
        for c in message.chars() {
            if note.len() + c.len_utf8() > NOTE_LIMIT {
                break;
            }
            note.push(c);
        }
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.as_str().to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(%error, "an event could not be published");
        }
    }
}
