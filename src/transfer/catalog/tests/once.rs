use futures::future::join_all;

use crate::api::conditions::Reason;
use crate::manifest::samples::{full, time};
use crate::manifest::{Identity, Manifest};
use crate::storage::Location;
use crate::storage::testing::Failure::{self, AnswerLost, Forbidden, Unavailable};
use crate::storage::testing::{FailingStore, Op, tamper};
use crate::transfer::TransferError;
use crate::transfer::catalog::{Committed, Voided, commit, void};

fn run(id: &str) -> Manifest {
    Manifest {
        run_id: id.to_owned(),
        ..full(0)
    }
}

fn identity() -> Identity {
    full(0).identity
}

async fn voided(location: &Location) -> Result<Voided, TransferError> {
    void(location, &identity(), "its node went away", time(60)).await
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_committed_once() {
    for (location, _dir) in super::locations() {
        let written = commit(&location, &run("a")).await.unwrap();
        let Committed::Written(reference) = &written else {
            panic!("{written:?}");
        };
        assert_eq!(reference.path, identity().manifest_key());
        assert_eq!(
            commit(&location, &run("a")).await.unwrap(),
            written,
            "again"
        );
        let Committed::Lost(found) = commit(&location, &run("b")).await.unwrap() else {
            panic!("two runs committed one slot");
        };
        assert_eq!(found.reference, *reference);
        assert_eq!(*found.manifest, run("a"));
        let Voided::Committed(found) = voided(&location).await.unwrap() else {
            panic!("a committed slot was made void");
        };
        assert_eq!(*found.manifest, run("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_void_slot_is_never_committed() {
    for (location, _dir) in super::locations() {
        assert_eq!(voided(&location).await.unwrap(), Voided::Void);
        let later = void(&location, &identity(), "again", time(120)).await;
        assert_eq!(later.unwrap(), Voided::Void);
        let error = commit(&location, &run("late")).await.unwrap_err();
        assert_eq!(error.reason(), Reason::SlotVoid);
        assert!(!error.retryable());
        assert!(error.to_string().contains("its node went away"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_store() {
    const GIVEN_UP: [(Op, Failure); 3] = [(Op::Put, Unavailable); 3];
    for (script, written) in [
        (&[(Op::Put, AnswerLost)][..], true),
        (&[(Op::Put, Unavailable)], true),
        (
            &[
                (Op::Put, AnswerLost),
                (Op::Put, Unavailable),
                (Op::Get, Unavailable),
            ],
            true,
        ),
        // The put went through, and every further try fails: reading finds it.
        (
            &[
                (Op::Put, AnswerLost),
                (Op::Put, Unavailable),
                (Op::Put, Unavailable),
            ],
            true,
        ),
        (&GIVEN_UP, false),
        (&[(Op::Put, Forbidden)], false),
    ] {
        let store = FailingStore::new(script);
        let location = store.location();
        let committed = commit(&location, &run("a")).await;
        assert_eq!(store.left(), 0, "{script:?}");
        if written {
            assert!(
                matches!(committed, Ok(Committed::Written(_))),
                "{script:?}: {committed:?}"
            );
        } else {
            assert!(committed.is_err(), "{script:?}");
            assert_eq!(super::keys(&location).await, [""; 0], "{script:?}");
        }

        let store = FailingStore::new(script);
        let location = store.location();
        let given_up = voided(&location).await;
        assert_eq!(given_up.is_ok(), written, "{script:?}: {given_up:?}");
        // Whatever the answer was, the truth is in the bucket.
        let late = commit(&location, &run("late")).await;
        assert_eq!(late.is_err(), written, "{script:?}: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_one_wins() {
    for void_too in [false, true] {
        let location = FailingStore::new(&[]).location();
        let runs: Vec<Manifest> = (0..8).map(|n| run(&format!("run-{n}"))).collect();
        let commits = join_all(runs.iter().map(|run| commit(&location, run)));
        let (voids, commits) = if void_too {
            let (voids, commits) = futures::join!(voided(&location), commits);
            (Some(voids.unwrap()), commits)
        } else {
            (None, commits.await)
        };
        let written = commits
            .iter()
            .filter(|done| matches!(done, Ok(Committed::Written(_))))
            .count();
        let void = usize::from(voids == Some(Voided::Void));
        assert_eq!(written + void, 1);
        for done in &commits {
            assert!(
                matches!(done, Ok(_) | Err(TransferError::SlotVoid { .. })),
                "{done:?}"
            );
        }
        assert_eq!(super::keys(&location).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_trusted_at_the_key_is_an_error() {
    let location = FailingStore::new(&[]).location();
    commit(&location, &run("a")).await.unwrap();
    tamper(&location, &identity().manifest_key(), |bytes| {
        bytes.truncate(100);
    })
    .await;
    let lost = commit(&location, &run("b")).await.unwrap_err();
    let given_up = voided(&location).await.unwrap_err();
    for error in [lost, given_up] {
        assert_eq!(error.reason(), Reason::ManifestInvalid);
        assert!(
            error
                .to_string()
                .contains("/manifests/20261120t100000z.json"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_no_reader_takes_is_not_committed() {
    let store = FailingStore::new(&[]);
    let mut wrong = run("a");
    wrong.end_time = time(-1);
    let error = commit(&store.location(), &wrong).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ManifestInvalid);
    assert_eq!(store.calls(Op::Put), 0);
}
