//! Lifeboat

pub mod retention;
pub mod schedule;
