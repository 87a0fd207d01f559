//! The EMQX engine through whole runs, against two stand-ins (`e2e/standin/emqx`).
//!
//! Runs when `LIFEBOAT_TEST_EMQX_A` and `LIFEBOAT_TEST_EMQX_B` hold their URLs; `e2e/run.sh
//! servers-emqx` starts them. What is compared is asked of them by code of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "job_support/pod.rs"]
mod job;
#[path = "emqx_support/lab.rs"]
mod lab;

use std::io::Read;

use lab::{Lab, RECORDED_ROWS};
use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::EmqxLogin;
use lifeboat::api::restore::{ConflictPolicy, Remap, Verify};
use serde_json::json;

#[tokio::test]
async fn a_backup_comes_to_an_empty_cluster_without_its_keys() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    let part = lab.part(&manifest).await;
    // 5 users, 1 user with rules, 1 ban, 1 rule.
    assert_eq!(part.records, 8);
    assert_eq!(part.attributes["count.users"], "5");
    assert_eq!(part.attributes["count.rules"], "1");
    assert_eq!(part.attributes["rows.emqx_app"], "2");
    assert_eq!(part.attributes["version"], "5.4.1");
    assert_eq!(
        part.attributes["salt.password_based:built_in_database"],
        "suffix"
    );
    assert_eq!(
        lab.a.files().await,
        Vec::<String>::new(),
        "the remote file is gone"
    );
    assert!(lab.a.called("DELETE /api/v5/data/files/").await);

    let done = lab.import(&manifest, |_| {}).await.unwrap();
    assert_eq!((done.totals.records, done.refused_records), (8, 0));
    assert_eq!(lab.b.files().await, Vec::<String>::new());
    let rows = lab.b.rows().await;
    for (table, expected) in RECORDED_ROWS {
        let expected = match table {
            "emqx_app" | "emqx_admin" => 0,
            _ => expected,
        };
        assert_eq!(rows[table], expected, "{table}");
    }
    // Twice changes nothing.
    lab.import(&manifest, Lab::overwrite).await.unwrap();
    assert_eq!(lab.b.rows().await, rows);
}

#[tokio::test]
async fn an_archive_is_streamed_both_ways() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("users", "150000").await;
    let pod = job::Pod::new();
    Lab::give_login(&pod);
    let place =
        |url: &str| json!({"emqx": {"url": url, "credentials": {"secretRef": {"name": "emqx"}}}});
    let exported = pod.export(&place(&lab.a.url));
    let imported = pod.import(&place(&lab.b.url), "Counts");
    eprintln!("80 MB of users: the export's peak was {exported} KiB, the import's {imported}");
    assert!(exported.max(imported) < 64 << 10, "{exported} {imported}");
    assert_eq!(lab.b.rows().await["emqx_authn_mnesia"], 150_000);
    assert_eq!(lab.a.files().await, Vec::<String>::new());
    assert_eq!(lab.b.files().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_stored_object_is_the_archive_under_its_own_name() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    lab.keep_remote();
    let manifest = lab.export().await.unwrap();
    let part = lab.part(&manifest).await;
    let name = part.name["archive"].clone();
    assert_eq!(
        lab.a.files().await,
        std::slice::from_ref(&name),
        "deleteRemote: false"
    );
    assert_eq!(part.files.len(), 1);
    assert_eq!(part.files[0].path, format!("parts/000001/{name}"));
    let stored = lab.stored(&manifest, &part.files[0].path);
    assert_eq!(stored, lab.a.download(&name).await, "byte for byte");
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&stored[..])
        .read_to_end(&mut tar)
        .unwrap();
    let base = name.strip_suffix(".tar.gz").unwrap();
    assert!(tar.starts_with(format!("{base}/META.hocon").as_bytes()));
}

#[tokio::test]
async fn a_full_copy_is_an_explicit_choice() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    lab.full_copy();
    lab.import(&manifest, |_| {}).await.unwrap();
    assert!(
        lab.warned("2 API keys and 1 dashboard users"),
        "{:?}",
        lab.warnings()
    );
    let rows = lab.b.rows().await;
    assert_eq!((rows["emqx_app"], rows["emqx_admin"]), (2, 1));
}

#[tokio::test]
async fn a_dashboard_user_logs_in_and_again_once_the_token_expired() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    lab.login_as(
        EmqxLogin::DashboardUser,
        "lifeboat-admin",
        "lifeboat-dashboard-password",
    );
    lab.a.faults(json!({"Expired": true})).await;
    let manifest = lab.export().await.unwrap();
    lab.import(&manifest, |_| {}).await.unwrap();
    let logins = lab.a.calls().await;
    let logins = logins
        .iter()
        .filter(|call| *call == "POST /api/v5/login")
        .count();
    assert_eq!(logins, 2);
}

#[tokio::test]
async fn a_wrong_key_is_told_without_the_secret() {
    let Some(lab) = Lab::take().await else { return };
    for login in [EmqxLogin::ApiKey, EmqxLogin::DashboardUser] {
        lab.login_as(login, "lifeboat-key", "not-the-secret");
        let error = lab.export().await.unwrap_err();
        assert_eq!(error.reason(), Reason::DatabaseLoginFailed);
        assert!(!error.retryable());
        assert!(!error.to_string().contains("not-the-secret"), "{error}");
    }
}

#[tokio::test]
async fn what_holds_data_needs_a_word() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    lab.b.post("user", "own").await;
    lab.b
        .post("configuration", &Lab::configuration("prefix"))
        .await;
    let error = lab.import(&manifest, |_| {}).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TargetNotEmpty);
    assert!(
        error.to_string().contains("1 users with a password"),
        "{error}"
    );
    let dry = |order: &mut lifeboat::api::order::ImportOrder| {
        Lab::overwrite(order);
        order.dry_run = true;
    };
    lab.import(&manifest, dry).await.unwrap();
    assert!(
        lab.warned(
            "puts the salt of passwords as prefix on the target and as suffix in the backup"
        ),
        "{:?}",
        lab.warnings()
    );
    assert!(
        !lab.b.called("POST /api/v5/data/files").await,
        "a dry run changes nothing"
    );
    lab.import(&manifest, Lab::overwrite).await.unwrap();
    assert_eq!(
        lab.b.rows().await["emqx_authn_mnesia"],
        6,
        "its own user stays"
    );
}

type Change = fn(&mut lifeboat::api::order::ImportOrder);

#[tokio::test]
async fn what_emqx_can_not_do_is_refused_with_a_sentence() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    let cases: [(Change, &str); 5] = [
        (
            |order| order.drill_prefix = Some("lifeboat_drill_1_".to_owned()),
            "that a drill could have to itself",
        ),
        (
            |order| {
                order.remap = vec![Remap {
                    from: "a".to_owned(),
                    to: "b".to_owned(),
                }];
            },
            "could get a new name",
        ),
        (
            |order| {
                Lab::overwrite(order);
                order.conflict_policy = ConflictPolicy::Replace;
            },
            "only adds and overwrites",
        ),
        (
            |order| order.verify = Verify::Contains,
            "can't do verify Contains",
        ),
        (
            |order| order.verify = Verify::Equal,
            "can't do verify Equal",
        ),
    ];
    for (change, part) in cases {
        let error = lab.import(&manifest, change).await.unwrap_err();
        assert_eq!(error.reason(), Reason::NotSupported, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(!lab.b.called("POST /api/v5/data/files").await);
}

#[tokio::test]
async fn what_the_target_would_refuse_is_not_uploaded() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let cases = [
        (
            json!({"Version": "5.9.0"}),
            json!({}),
            "newer than the target's 5.4.1",
        ),
        (
            json!({"Edition": "Enterprise"}),
            json!({}),
            "open source EMQX does not import it",
        ),
        (
            json!({}),
            json!({"Version": "5.3.2"}),
            "which came with 5.4",
        ),
    ];
    for (at_source, at_target, part) in cases {
        lab.new_slot();
        lab.a.faults(at_source).await;
        lab.b.faults(at_target).await;
        let manifest = lab.export().await.unwrap();
        let error = lab.import(&manifest, |_| {}).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.retryable(), "{error}");
    }
    assert!(!lab.b.called("POST /api/v5/data/files").await);
}

#[tokio::test]
async fn versions_without_a_choice_of_tables() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    lab.choose(&["banned"]);
    let error = lab.export().await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupported);
    assert!(
        error.to_string().contains("take EMQX 5.9 or later"),
        "{error}"
    );
    lab.a.faults(json!({"Version": "5.9.1"})).await;
    lab.export().await.unwrap();
}

#[tokio::test]
async fn an_archive_that_is_not_whole_is_no_backup() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let cases = [
        (json!({"Cut": true}), "cut off"),
        (json!({"Renamed": true}), "was renamed"),
        (
            json!({"ExportLosesUsers": true}),
            "the archive has 0 records of the table emqx_authn_mnesia, while the server showed 5",
        ),
    ];
    for (faults, part) in cases {
        lab.new_slot();
        lab.a.faults(faults).await;
        let error = lab.export().await.unwrap_err();
        assert_eq!(error.reason(), Reason::SourceChanged, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(
            lab.a.files().await,
            Vec::<String>::new(),
            "deleted after a failure too"
        );
    }
}

#[tokio::test]
async fn a_refused_import_leaves_no_file() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    for objects in [false, true] {
        lab.b.faults(json!({"ImportFails": "table emqx_psk: different_table_schema", "Objects": objects})).await;
        let error = lab.import(&manifest, |_| {}).await.unwrap_err();
        assert!(
            error.to_string().contains("different_table_schema"),
            "{error}"
        );
        assert_eq!(
            error.to_string().contains("namespace ns1: as well"),
            objects,
            "{error}"
        );
        assert_eq!(lab.b.files().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_upload_that_comes_to_a_replicant_is_taken_back() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    lab.b.faults(json!({"ToReplicant": true})).await;
    let error = lab.import(&manifest, Lab::overwrite).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("emqx@replicant, which is no core node"),
        "{error}"
    );
    assert!(error.retryable());
    assert_eq!(lab.b.files().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_broken_run_left_is_not_in_the_way() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    let name = lab.part(&manifest).await.name["archive"].clone();
    lab.b.post("file", &name).await;
    lab.b.post("file", "somebody-elses.tar.gz").await;
    lab.import(&manifest, |_| {}).await.unwrap();
    assert_eq!(lab.b.files().await, ["somebody-elses.tar.gz"]);
}

#[tokio::test]
async fn an_import_that_brings_less_is_found_by_its_counts() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let manifest = lab.export().await.unwrap();
    lab.b.faults(json!({"LosesUsers": true})).await;
    let error = lab.import(&manifest, |_| {}).await.unwrap_err();
    assert_eq!(error.reason(), Reason::VerificationFailed);
    assert!(
        error
            .to_string()
            .contains("the target has 3 records, the backup 8"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_person_should_know_is_in_the_backup() {
    let Some(lab) = Lab::take().await else { return };
    lab.a.post("load", "").await;
    let live = "connectors { http { sink { enable = true } } }\n\
                authorization { sources = [{type = file, path = \"${EMQX_ETC_DIR}/acl.conf\"}] }\n";
    let configuration = Lab::configuration("suffix") + live;
    lab.a.post("configuration", &configuration).await;
    let manifest = lab.export().await.unwrap();
    assert!(
        lab.warned("authorization.sources.path (${EMQX_ETC_DIR}/acl.conf)"),
        "{:?}",
        lab.warnings()
    );
    lab.import(&manifest, |_| {}).await.unwrap();
    assert!(lab.warned("connectors.http.sink"), "{:?}", lab.warnings());
}
