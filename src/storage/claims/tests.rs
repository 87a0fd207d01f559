//! Claims of several clusters, and hostile ones.

#![allow(clippy::unwrap_used)]

use super::*;

fn claim(uid: &str, from: Option<&str>) -> Claim {
    Claim {
        format_version: 1,
        cluster: "prod".to_owned(),
        cluster_uid: uid.to_owned(),
        taken_over_from: from.map(ToOwned::to_owned),
        time: Timestamp::UNIX_EPOCH,
    }
}

fn claimant<'a>(uid: &'a str, from: Option<&'a str>) -> Claimant<'a> {
    Claimant {
        cluster: "prod",
        cluster_uid: uid,
        take_over_from: from,
    }
}

#[test]
fn verdicts() {
    let other = |uid: &str| Verdict::Other {
        cluster_uid: uid.to_owned(),
    };
    let a = || (1, claim("a", None));
    let b_from_a = || (2, claim("b", Some("a")));
    let a_from_b = || (3, claim("a", Some("b")));
    for (claims, uid, from, verdict) in [
        (vec![], "a", None, Verdict::Free),
        (vec![], "a", Some("b"), Verdict::Free),
        (vec![a()], "a", None, Verdict::Mine { number: 1 }),
        (vec![a()], "b", None, other("a")),
        (vec![a()], "b", Some("c"), other("a")),
        (vec![a()], "b", Some("a"), Verdict::TakeOver { next: 2 }),
        (
            vec![b_from_a(), a()],
            "b",
            Some("a"),
            Verdict::Mine { number: 2 },
        ),
        (vec![a(), b_from_a()], "a", None, other("b")),
        (
            vec![a(), b_from_a()],
            "a",
            Some("b"),
            Verdict::TakeOver { next: 3 },
        ),
        // b's takeOverFrom was left in its spec: it does not take the name back.
        (
            vec![a(), b_from_a(), a_from_b()],
            "b",
            Some("a"),
            other("a"),
        ),
        (
            vec![a(), b_from_a(), a_from_b()],
            "a",
            Some("b"),
            Verdict::Mine { number: 3 },
        ),
        (
            vec![(7, claim("a", None))],
            "b",
            Some("a"),
            Verdict::TakeOver { next: 8 },
        ),
    ] {
        assert_eq!(
            evaluate(&claims, &claimant(uid, from)),
            verdict,
            "{uid} {from:?}"
        );
    }
}

#[tokio::test]
async fn claims_once_and_keeps_others_out() {
    let location = Location::in_memory();
    let now = Timestamp::UNIX_EPOCH;
    let first = ensure_claim(&location, &claimant("a", None), now)
        .await
        .unwrap();
    assert_eq!(
        first,
        Claimed {
            number: 1,
            new: true
        }
    );
    let again = ensure_claim(&location, &claimant("a", None), now)
        .await
        .unwrap();
    assert_eq!(
        again,
        Claimed {
            number: 1,
            new: false
        }
    );
    let error = ensure_claim(&location, &claimant("b", None), now)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ClaimedByAnother);
    assert!(error.message.contains("spec.takeOverFrom: a"), "{error}");
    let taken = ensure_claim(&location, &claimant("b", Some("a")), now)
        .await
        .unwrap();
    assert_eq!(
        taken,
        Claimed {
            number: 2,
            new: true
        }
    );
    let error = ensure_claim(&location, &claimant("a", None), now)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ClaimedByAnother);
}

#[tokio::test]
async fn a_race_has_one_winner() {
    let location = Location::in_memory();
    let uids: Vec<String> = (0..16).map(|n| format!("uid-{n}")).collect();
    let racing = uids.iter().map(|uid| {
        let location = location.clone();
        async move { ensure_claim(&location, &claimant(uid, None), Timestamp::UNIX_EPOCH).await }
    });
    let results = futures::future::join_all(racing).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(error.reason, Reason::ClaimedByAnother);
    }
}

#[tokio::test]
async fn hostile_claims_are_refused() {
    let good = serde_json::to_string(&claim("a", None)).unwrap();
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(CLAIM_LIMIT));
    for (name, text) in [
        ("1.json", "not json"),
        ("1.json", "{}"),
        ("1.json", long.as_str()),
        ("1.json", &good.replace("\"prod\"", "\"dev\"")),
        ("1.json", &good.replace("\"a\"", "\"a\\nb\"")),
        (
            "1.json",
            &good.replace("\"formatVersion\":1", "\"formatVersion\":2"),
        ),
        ("0.json", good.as_str()),
        ("4000000000.json", good.as_str()),
    ] {
        let location = Location::in_memory();
        let key = format!("lifeboat/v1/prod/claims/{name}");
        location.put(&key, text.to_owned().into()).await.unwrap();
        let error = ensure_claim(&location, &claimant("a", None), Timestamp::UNIX_EPOCH).await;
        assert_eq!(
            error.unwrap_err().reason,
            Reason::ManifestInvalid,
            "{name} {text}"
        );
    }
    // What is not named as a claim is none.
    let location = Location::in_memory();
    for name in ["01.json", "+1.json", "readme.txt", "x.json"] {
        let key = format!("lifeboat/v1/prod/claims/{name}");
        location.put(&key, "x".into()).await.unwrap();
    }
    ensure_claim(&location, &claimant("a", None), Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    for cluster in ["", "a/b", "..", "a b"] {
        let asked = Claimant {
            cluster,
            ..claimant("a", None)
        };
        assert!(
            ensure_claim(&location, &asked, Timestamp::UNIX_EPOCH)
                .await
                .is_err()
        );
    }
}
