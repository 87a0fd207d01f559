//! What can stop a reconcile. It is tried again with a growing wait; nothing of it is a state of
//! an object.

use super::job_pod::JobPodError;

/// What can stop a reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("{action} {what}: {source}")]
    Api {
        /// What was tried: `create`, for example.
        action: &'static str,
        /// Kind and name of the object.
        what: String,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// An object of the wanted name is not ours, and is left alone.
    #[error("{what} exists already and is not ours ({problem}); delete or rename it")]
    Foreign {
        /// Kind and name of the object.
        what: String,
        /// What tells it from ours.
        problem: String,
    },
    /// The object has no name, namespace or uid: it did not come from an API server.
    #[error("an object came without its {0}")]
    Incomplete(&'static str),
    /// The store failed while something had to be written.
    #[error("{0}")]
    Store(String),
    /// The job pod can't be described.
    #[error(transparent)]
    JobPod(#[from] JobPodError),
}

impl Error {
    /// Wraps an error of the client with what was tried.
    pub fn api(action: &'static str, what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api {
            action,
            what,
            source: Box::new(source),
        }
    }

    /// True where the API server refused what was asked for, so that the same call will be
    /// refused again: an invalid object, a forbidden one, a namespace that ends.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => status.is_invalid() || status.is_forbidden(),
                _ => false,
            },
            Self::Foreign { .. } => true,
            Self::Incomplete(_) | Self::Store(_) | Self::JobPod(_) => false,
        }
    }
}

/// Why a plan could not be carried out. `R` is what is known of a refusal: mostly its words.
#[derive(Debug)]
pub enum Stopped<R = String> {
    /// The API server refused what was to be made, and will again.
    Refused(R),
    /// Try again.
    Error(Error),
}

impl<R> From<Error> for Stopped<R> {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Stopped {
    /// An error of making something: a refusal, or one after which it is tried again.
    pub fn of(error: Error) -> Self {
        if error.is_refusal() {
            Self::Refused(error.to_string())
        } else {
            Self::Error(error)
        }
    }
}
