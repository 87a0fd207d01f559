//! The controllers: for each kind observe → decide → apply.
//!
//! `observe` reads with a client, `decide` is pure and takes the time, `apply` writes what was
//! decided. Every write can be done twice: children have names that follow from what they are
//! for, manifests are create-only, statuses carry the resourceVersion that was read. So a
//! controller may die between any two calls, and two may work at once.

pub mod backup;
pub mod backup_schedule;
pub mod children;
pub mod context;
pub mod error;
pub mod events;
pub mod job_pod;
mod local_store;
pub mod metrics;
pub mod restore;
pub mod restore_schedule;
pub mod retry;
pub mod run;
pub mod run_state;
pub mod server;
pub mod status;
pub mod storage_location;
pub mod store;
pub mod time;

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod local_tests;
#[cfg(test)]
mod once_tests;
#[cfg(test)]
mod quiesce_tests;
#[cfg(test)]
mod replicate_tests;
#[cfg(test)]
mod standby_tests;
#[cfg(test)]
pub(crate) mod testing;
