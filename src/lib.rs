//! Lifeboat: scheduled backups and disaster recovery of clustered data systems, on Kubernetes.
//!
//! Data goes one way: [`api`], [`schedule`], [`retention`] and [`manifest`] are pure; [`storage`]
//! and [`transfer`] move bytes; [`engine`] speaks to the data systems; `job` is what a job pod
//! does; `controller` decides when. `controller` and `job` meet only in [`api`] and [`manifest`].

pub mod api;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod job;
pub mod manifest;
pub mod retention;
pub mod schedule;
pub mod storage;
pub mod telemetry;
pub mod transfer;
