//! Full exports and windows.

use lifeboat::api::common::Span;
use lifeboat::api::engines::{Incremental, InfluxDbSource};
use lifeboat::api::restore::ConflictPolicy;
use lifeboat::engine::{ChainState, ExportRequest, ImportPlan};
use lifeboat::manifest::Chain;

use super::harness::{Export, Lab, now};

fn incremental() -> InfluxDbSource {
    InfluxDbSource {
        incremental: Some(Incremental {
            overlap: Some(Span::from("1m")),
            ..Incremental::default()
        }),
        ..InfluxDbSource::default()
    }
}

fn after(export: &Export, slot: &str, request: &ExportRequest) -> ExportRequest {
    let base = request.previous.as_ref();
    ExportRequest {
        consistency_time: jiff::Timestamp::now(),
        previous: Some(ChainState {
            base: base.map_or(slot.to_owned(), |state| state.base.clone()),
            base_consistency: base.map_or(request.consistency_time, |state| state.base_consistency),
            newest: slot.to_owned(),
            newest_consistency: request.consistency_time,
            newest_chain: export.plan.chain.clone(),
            scope: export.plan.scope.clone(),
            server_id: export.plan.server.server_id.clone(),
        }),
    }
}

#[tokio::test]
async fn a_chain_of_windows_gives_the_source_again() {
    let Some(lab) = Lab::take("chain").await else {
        return;
    };
    lab.clean().await;
    let db = format!("{}db", lab.prefix);
    let new = format!("{}new", lab.prefix);
    lab.a.ask(&format!("CREATE DATABASE {db}")).await;
    let ago = |seconds: i64| {
        i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap() - seconds * 1_000_000_000
    };
    let line =
        |measurement: &str, time: i64| format!("{measurement},h=a v={time}i {time}\n").into_bytes();
    for seconds in [86_400, 3600, 600, 30] {
        lab.a
            .write(&db, "autogen", line("known", ago(seconds)))
            .await;
    }
    let request = now();
    let full = lab.export_ours(incremental(), &request).await;
    assert_eq!(full.plan.chain, Chain::Full);
    assert_eq!(full.records(), 4);
    let second = after(&full, "s1", &request);
    let full = lab.import(full, ImportPlan::default()).await;

    // After the full export: a point now, one ahead of time, one late but within the overlap, history
    // in a measurement and in a database that were not there, and one too late for any window.
    lab.a.write(&db, "autogen", line("known", ago(0))).await;
    lab.a.write(&db, "autogen", line("known", ago(-3600))).await;
    lab.a.write(&db, "autogen", line("known", ago(45))).await;
    lab.a
        .write(&db, "autogen", line("fresh", ago(86_400 * 300)))
        .await;
    lab.a.ask(&format!("CREATE DATABASE {new}")).await;
    lab.a
        .write(&new, "autogen", line("known", ago(86_400 * 400)))
        .await;
    let window = lab.export_ours(incremental(), &second).await;
    let Chain::Incremental {
        base,
        previous,
        window_end,
        ..
    } = &window.plan.chain
    else {
        panic!("{:?}", window.plan.chain);
    };
    assert_eq!(
        (base.as_str(), previous.as_str(), *window_end),
        ("s1", "s1", None)
    );
    // The three new points and the one of 30 s ago, which the overlap reads again; two in what is new.
    assert_eq!(window.records(), 6);
    let third = after(&window, "s2", &second);
    let moved = lab
        .import(
            window,
            ImportPlan {
                conflict_policy: ConflictPolicy::Overwrite,
                ..ImportPlan::default()
            },
        )
        .await;
    for database in [&db, &new] {
        assert_eq!(lab.a.picture(database).await, lab.b.picture(database).await);
    }
    moved.verify_windows().await;
    drop(full);

    // What the module says that a window does not see.
    lab.a.write(&db, "autogen", line("known", ago(7200))).await;
    let late = lab.export_ours(incremental(), &third).await;
    assert!(matches!(late.plan.chain, Chain::Incremental { .. }));
    lab.import(
        late,
        ImportPlan {
            conflict_policy: ConflictPolicy::Overwrite,
            ..ImportPlan::default()
        },
    )
    .await;
    assert_ne!(lab.a.picture(&db).await, lab.b.picture(&db).await);
    lab.clean().await;
}
