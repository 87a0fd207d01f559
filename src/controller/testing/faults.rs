//! Says which call fails, and how.

use std::sync::Mutex;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The controller dies before the call: neither this call nor any after it is done.
    KillBefore,
    /// The controller dies after the call: it is done, none after it is.
    KillAfter,
    /// The call is done and its answer is lost; the controller lives.
    LostAnswer,
    /// The API server answers 409 to a write and does nothing.
    Conflict,
    /// The API server answers 429 and does nothing.
    TooManyRequests,
    /// The API server answers 500 and does nothing.
    ServerError,
}

/// What is to be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Do,
    /// Don't do it, and fail.
    Fail(Fault),
    /// Do it, and fail.
    DoAndFail(Fault),
}

/// Counts calls and lets one of them fail.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: usize,
    writes: Vec<String>,
    planned: Option<(usize, Fault)>,
    hit: bool,
    dead: bool,
}

impl Faults {
    /// Lets call number `call`, counted from 0, fail.
    pub(crate) fn plan(&self, call: usize, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        state.planned = Some((call, fault));
    }

    /// What is to be done with this call.
    pub(crate) fn course(&self, what: &str, is_write: bool) -> Course {
        let mut state = self.0.lock().unwrap();
        if state.dead {
            return Course::Fail(Fault::KillBefore);
        }
        let call = state.calls;
        state.calls += 1;
        if is_write {
            state.writes.push(what.to_owned());
        }
        let Some((_, fault)) = state.planned.filter(|(planned, _)| *planned == call) else {
            return Course::Do;
        };
        state.hit = true;
        state.dead = matches!(fault, Fault::KillBefore | Fault::KillAfter);
        match fault {
            Fault::KillAfter | Fault::LostAnswer => Course::DoAndFail(fault),
            Fault::Conflict if !is_write => Course::Do,
            _ => Course::Fail(fault),
        }
    }

    /// The controller is started anew.
    pub(crate) fn revive(&self) {
        self.0.lock().unwrap().dead = false;
    }

    /// True once the planned call has come.
    pub(crate) fn was_hit(&self) -> bool {
        self.0.lock().unwrap().hit
    }

    /// The writes so far, in words.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.0.lock().unwrap().writes.clone()
    }
}
