//! The InfluxDB engine against real servers.
//!
//! Runs when `LIFEBOAT_TEST_INFLUX_A` and `LIFEBOAT_TEST_INFLUX_B` hold the URLs of two servers that
//! may be filled and emptied; with `LIFEBOAT_TEST_INFLUX_CLI`, the path of the vendor's `influx`, its
//! importer reads the files too. What is compared is asked of both servers by code of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "influxdb_support/generate.rs"]
mod generate;
#[path = "influxdb_support/harness.rs"]
mod harness;

use harness::Lab;
use lifeboat::engine::ImportPlan;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_hostile_databases_go_round_equal() {
    let Some(lab) = Lab::new("round") else { return };
    lab.clean().await;
    let mut points = 0;
    for seed in 0..100 {
        let database = generate::database(&lab.prefix, seed);
        points += lab.fill(&database).await;
    }
    let moved = lab.copy(&lab.all().await, ImportPlan::default()).await;
    assert_eq!(moved.warnings, Vec::<String>::new());
    assert_eq!(moved.refused, Vec::<String>::new());
    let databases = lab.a.databases(&lab.prefix).await;
    assert_eq!(databases.len(), 100);
    assert_eq!(lab.b.databases(&lab.prefix).await, databases);
    for database in &databases {
        assert_eq!(
            lab.a.picture(database).await,
            lab.b.picture(database).await,
            "{database:?}"
        );
    }
    assert_eq!(
        moved.records(),
        points,
        "every point that was acknowledged is a record"
    );
    moved.verify_all().await;
    lab.clean().await;
}
