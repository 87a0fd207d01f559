//! Lifeboat: scheduled backups and disaster recovery of clustered data systems, on Kubernetes.
//!
//! Data goes one way: [`api`], [`schedule`], [`retention`] and [`manifest`] are pure; [`storage`]
//! and [`transfer`] move bytes; [`process`] runs commands; [`engine`] speaks to the data systems; `job` is what a job pod
//! does; `controller` decides when. `controller` and `job` meet only in [`api`] and [`manifest`].

// Tests are read for what they show; these pedantic lints are for the code that they test.
#![cfg_attr(
    test,
    allow(
        clippy::large_futures,
        clippy::large_stack_arrays,
        clippy::match_same_arms,
        clippy::needless_pass_by_value,
        clippy::too_many_lines,
        clippy::unnecessary_wraps,
        clippy::unwrap_used,
        clippy::expect_used
    )
)]

pub mod api;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod job;
pub mod manifest;
pub mod process;
pub mod retention;
pub mod schedule;
pub mod secrets;
pub mod storage;
mod tar;
pub mod telemetry;
pub mod transfer;
