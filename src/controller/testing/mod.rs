//! Stand-ins for what the controllers work with: an API server, a bucket, job pods, the clock.
//! Each call to the first two can be made to fail, or to be the last one of a controller's life.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures)]

pub(crate) mod api_server;
pub(crate) mod faults;
mod objects;
pub(crate) mod pods;
pub(crate) mod standby;
pub(crate) mod store;
mod workloads;
pub(crate) mod world;

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::context::Clock;

/// A clock that stands until it is set.
#[derive(Debug)]
pub(crate) struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub(crate) fn at(time: &str) -> Self {
        Self(Mutex::new(time.parse().unwrap()))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
