//! `lifeboat migrate` between two servers, as a person runs it.

use std::path::Path;
use std::process::{Command, Output};

use crate::lab::Lab;

fn migrate(plan: &str, more: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.yaml");
    std::fs::write(&path, plan).unwrap();
    let password = directory.path().join("login");
    std::fs::create_dir(&password).unwrap();
    std::fs::write(password.join("username"), "root").unwrap();
    std::fs::write(password.join("password"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.arg("migrate").arg(&path).args(more);
    command.arg("--source-credentials-dir").arg(&password);
    command.output().unwrap()
}

fn plan(lab: &Lab, database: &str, more: &str) -> String {
    format!(
        "source: {{cnosdb: {{url: {:?}, tenants: [{{name: cnosdb, databases: [{{name: {database}}}]}}]}}}}\ntarget: {{cnosdb: {{url: {:?}}}}}\n{more}",
        lab.a.url, lab.b.url
    )
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_database_is_moved_with_no_bucket_in_between() {
    let Some(lab) = Lab::take("migrate").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF' PRECISION 'us'").await;
    for batch in 0..9i64 {
        let lines: Vec<String> = (0..5000)
            .map(|at| {
                format!(
                    "air,station=S{} v={at}.5,s=\"x y\" {}",
                    at % 7,
                    batch * 5000 + at
                )
            })
            .collect();
        lab.a.write(&name, "us", &lines.join("\n")).await;
    }
    lab.a
        .ask(&name, "CREATE TABLE empty_table (v DOUBLE, TAGS(t))")
        .await;

    let dry = migrate(&plan(&lab, &name, ""), &["--dry-run"]);
    assert!(dry.status.success(), "{}", said(&dry));
    assert!(said(&dry).contains("nothing was changed"), "{}", said(&dry));
    assert!(!lab.b.databases().await.contains(&name));

    let moved = migrate(&plan(&lab, &name, ""), &[]);
    assert!(moved.status.success(), "{}", said(&moved));
    let text = said(&moved);
    assert!(text.contains("migrated 45000 records in 2 parts"), "{text}");
    assert!(text.contains("verified: Equal"), "{text}");
    assert_eq!(lab.a.picture(&name).await, lab.b.picture(&name).await);

    // A second time the target holds data, and what to write is said.
    let again = migrate(&plan(&lab, &name, ""), &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        said(&again).contains("conflictPolicy to Overwrite"),
        "{}",
        said(&again)
    );
    let more = format!("conflictPolicy: Overwrite\nconfirm: {}\n", lab.b.url);
    let again = migrate(&plan(&lab, &name, &more), &[]);
    assert!(again.status.success(), "{}", said(&again));

    // Something else in the target is a difference under Equal, and none under Counts.
    lab.b.write(&name, "us", "air,station=other v=1 1").await;
    let other = migrate(&plan(&lab, &name, &more), &[]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        said(&other).contains("does not hold what was read"),
        "{}",
        said(&other)
    );
    let counts = format!("{more}verify: Counts\n");
    let counted = migrate(&plan(&lab, &name, &counts), &[]);
    assert!(counted.status.success(), "{}", said(&counted));
    lab.clean().await;
}

#[tokio::test]
async fn what_can_not_be_migrated_is_refused_and_what_the_target_refuses_is_told() {
    let Some(lab) = Lab::take("cannot").await else {
        return;
    };
    let name = format!("{}db", lab.prefix);
    lab.a.make(&name, "TTL 'INF'").await;
    lab.a.write(&name, "ns", "m,t=a v=1i 1").await;
    let one = lab.a.url.clone();
    let itself = plan(&lab, &name, "").replace(&lab.b.url, &one);
    let copied = plan(&lab, &name, "").replace("tenants:", "method: copyInto, tenants:");
    let odd = plan(&lab, &name, "retries: 3\n");
    let contains = plan(&lab, &name, "verify: Contains\n");
    let deaf = plan(&lab, &name, "").replace(&lab.b.url, "http://127.0.0.1:1");
    let engines = plan(&lab, &name, "").replace("target: {cnosdb", "target: {influxdb");
    for (plan, part) in [
        (itself, "are one server"),
        (copied, "copyInto"),
        (odd, "retries"),
        (contains, "use verify Equal or Counts"),
        (deaf, "can't be reached"),
        (engines, "two engines"),
    ] {
        let refused = migrate(&plan, &[]);
        assert_eq!(refused.status.code(), Some(1), "{part}: {}", said(&refused));
        assert!(said(&refused).contains(part), "{part}: {}", said(&refused));
    }
    assert!(!lab.b.databases().await.contains(&name));
    let missing = Path::new("/no/such/login");
    let login = ["--target-credentials-dir", missing.to_str().unwrap()];
    let refused = migrate(&plan(&lab, &name, ""), &login);
    assert!(
        said(&refused).contains("no usable key username"),
        "{}",
        said(&refused)
    );
    lab.clean().await;
}
