use super::*;
use crate::api::common::Limits;
use crate::api::engines::{InfluxDbTarget, KuzzleTarget, TargetSpec};
use crate::api::order::Bounds;
use crate::api::storage_location::StorageLocationSpec;

const URL: &str = "http://standby:8086";

fn order(policy: ConflictPolicy, confirm: Option<&str>) -> ImportOrder {
    ImportOrder {
        restore: "iot/one".to_owned(),
        storage: StorageLocationSpec::default(),
        manifests: vec![],
        vendor_dump: None,
        target: TargetSpec {
            influxdb: Some(InfluxDbTarget {
                url: URL.to_owned(),
                ..InfluxDbTarget::default()
            }),
            ..TargetSpec::default()
        },
        remap: vec![],
        conflict_policy: policy,
        deletions: Deletions::Keep,
        confirm: confirm.map(str::to_owned),
        dry_run: false,
        preflight: Preflight::Digests,
        verify: Verify::Counts,
        drill_prefix: None,
        drill_again: false,
        limits: Limits::default(),
        bounds: Bounds {
            timeout_seconds: 60,
            not_after: jiff::Timestamp::UNIX_EPOCH,
        },
    }
}

#[test]
fn what_a_target_that_holds_data_needs() {
    use ConflictPolicy::{Fail, Overwrite, Replace};
    let cases = [
        (Fail, None, Some(Reason::TargetNotEmpty)),
        (Fail, Some(URL), Some(Reason::TargetNotEmpty)),
        (Overwrite, None, Some(Reason::ConfirmationMissing)),
        (Overwrite, Some("yes"), Some(Reason::ConfirmationMissing)),
        (
            Overwrite,
            Some("http://other:8086"),
            Some(Reason::ConfirmationMissing),
        ),
        (Overwrite, Some(URL), None),
        (Overwrite, Some("http://STANDBY:8086/"), None),
        (Overwrite, Some("source http://standby:8086"), None),
        (Replace, Some(URL), None),
    ];
    for (policy, confirm, expected) in cases {
        let order = order(policy, confirm);
        check_confirm(&order).unwrap();
        let seen = check_holds(&order, "database telemetry").err();
        assert_eq!(
            seen.as_ref().map(JobError::reason),
            expected,
            "{policy:?} {confirm:?}"
        );
        if let Some(error) = seen {
            assert!(error.to_string().contains(URL), "{error}");
            assert!(error.to_string().contains("database telemetry"), "{error}");
        }
    }
}

#[test]
fn replace_needs_confirm_whatever_is_there() {
    let error = check_confirm(&order(ConflictPolicy::Replace, None)).unwrap_err();
    assert_eq!(error.reason(), Reason::ConfirmationMissing);
    assert!(error.to_string().ends_with(&format!("\"{URL}\"")));
}

#[test]
fn mirror_is_for_full_backups_and_engines_that_can() {
    let kuzzle = TargetSpec {
        kuzzle: Some(KuzzleTarget::default()),
        ..TargetSpec::default()
    };
    let influxdb = order(ConflictPolicy::Overwrite, None).target;
    for (target, policy, only_full, refused) in [
        (&kuzzle, ConflictPolicy::Overwrite, true, None),
        (
            &kuzzle,
            ConflictPolicy::Overwrite,
            false,
            Some("full backup alone"),
        ),
        (
            &kuzzle,
            ConflictPolicy::Replace,
            true,
            Some("Overwrite only"),
        ),
        (
            &influxdb,
            ConflictPolicy::Overwrite,
            true,
            Some("can't do deletions Mirror"),
        ),
    ] {
        let mut order = order(policy, None);
        order.target = target.clone();
        order.deletions = Deletions::Mirror;
        let seen = check_mirror(&order, target_spec(&order).unwrap(), only_full).err();
        let seen = seen.map(|error| error.to_string()).unwrap_or_default();
        assert!(seen.contains(refused.unwrap_or_default()), "{seen}");
        assert_eq!(seen.is_empty(), refused.is_none(), "{seen}");
        order.deletions = Deletions::Keep;
        check_mirror(&order, target_spec(&order).unwrap(), only_full).unwrap();
    }
    let mut order = order(ConflictPolicy::Overwrite, None);
    order.deletions = Deletions::Mirror;
    let error = check_confirm(&order).unwrap_err();
    assert_eq!(error.reason(), Reason::ConfirmationMissing);
    order.confirm = Some(URL.to_owned());
    check_confirm(&order).unwrap();
    assert!(consequence(&order).ends_with("deleted"));
}

#[test]
fn a_drill_has_a_prefix_that_nobody_else_has() {
    let cases = [
        (None, true),
        (Some("lifeboat_drill_0a1b2c3d_"), true),
        (Some(""), false),
        (Some("_"), false),
        (Some("drill_"), false),
        (Some("telemetry"), false),
        (Some("drill-77aa-"), false),
        (Some("drill \"77aa_"), false),
    ];
    for (prefix, good) in cases {
        let mut order = order(ConflictPolicy::Fail, None);
        order.drill_prefix = prefix.map(str::to_owned);
        assert_eq!(check_drill(&order).is_ok(), good, "{prefix:?}");
    }
}

#[test]
fn one_server_has_many_spellings() {
    let cases = [
        ("http://a:8086", "http://A:8086/", true),
        ("http://a", "http://a:80/", true),
        ("https://a:8086", "http://a:8086", false),
        ("http://a:8086", "http://b:8086", false),
        ("cluster-id-1", "cluster-id-1", true),
        ("cluster-id-1", "cluster-id-2", false),
    ];
    for (one, other, same) in cases {
        assert_eq!(same_url(one, other), same, "{one} {other}");
    }
}

#[test]
fn a_vendors_files_can_only_be_counted() {
    let mut manifest = crate::manifest::samples::full(0);
    manifest.source.engine = "influxdb".to_owned();
    let cases = [
        ("lineProtocol", Verify::Contains, true),
        ("portable", Verify::Contains, false),
        ("portable", Verify::Equal, false),
        ("portable", Verify::Counts, true),
        ("portable", Verify::None, true),
        ("ctl", Verify::Counts, false),
    ];
    for (method, verify, good) in cases {
        method.clone_into(&mut manifest.source.method);
        let mut order = order(ConflictPolicy::Fail, None);
        order.verify = verify;
        let seen = check_engine(&order, std::slice::from_ref(&manifest));
        assert_eq!(seen.is_ok(), good, "{method} {verify:?}");
    }
}
