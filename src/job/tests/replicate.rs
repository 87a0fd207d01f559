use super::*;
use crate::api::backup_schedule::Retention;
use crate::api::conditions::Reason;
use crate::api::order::ReplicateOrder;
use crate::api::outcome::Replicated;
use crate::job::replicate;
use crate::storage::testing::{FailingStore, Failure, tamper};

fn order() -> ReplicateOrder {
    ReplicateOrder {
        identity: identity(""),
        storage: StorageLocationSpec::default(),
        replica: StorageLocationSpec::default(),
        up_to: SLOTS[2].to_owned(),
        prune: false,
        retention: None,
        time_zone: None,
        held: Vec::new(),
        sweep_before: None,
        limits: Limits::default(),
        bounds: bounds(),
    }
}

fn keep_last(count: u32) -> ReplicateOrder {
    ReplicateOrder {
        prune: true,
        retention: Some(Retention {
            keep_last: Some(count),
            ..Retention::default()
        }),
        ..order()
    }
}

/// A run after all exports: it claims its location at another time than they did theirs, and to
/// retention no backup is of the future.
fn later() -> Arc<Run> {
    let at = now() + jiff::SignedDuration::from_mins(45);
    Arc::new(Run::start("copy".to_owned(), &bounds(), at).unwrap())
}

async fn copy(order: &ReplicateOrder, from: &Bucket, to: &Bucket) -> Result<Replicated, JobError> {
    replicate(&later(), order, &from.location, &to.location).await
}

/// An empty bucket that lets go of the buffers it was given, as a real one does: a copy of many
/// files uses them again and again.
fn empty() -> Bucket {
    let store = FailingStore::new(&[]);
    Bucket {
        store: store.objects(),
        location: store.location(),
    }
}

/// A full backup in each of the slots.
async fn fulls() -> Bucket {
    let bucket = Bucket::new();
    for (number, id) in ["a1", "b2", "c3"].into_iter().enumerate() {
        run_export(&at_slot(number, id), SLOTS[number], &bucket, &source())
            .await
            .unwrap();
    }
    bucket
}

/// A run that starts at the time of its slot: retention goes by consistency times.
fn at_slot(number: usize, id: &str) -> Arc<Run> {
    let at = now() + jiff::SignedDuration::from_mins(15) * i32::try_from(number).unwrap();
    Arc::new(Run::start(id.to_owned(), &bounds(), at).unwrap())
}

/// A full backup and two windows on top of it.
async fn chain() -> Bucket {
    let bucket = Bucket::new();
    let full = source();
    let windows = Arc::new(StandInEngine {
        incremental: true,
        ..StandInEngine::new("http://primary:8086").with_table("cpu", 3)
    });
    for (number, engine) in [&full, &windows, &windows].into_iter().enumerate() {
        run_export(&at_slot(number, "a1"), SLOTS[number], &bucket, engine)
            .await
            .unwrap();
    }
    bucket
}

async fn slots(bucket: &Bucket) -> Vec<String> {
    let line = identity("").line();
    let listed = catalog::list_slots(&bucket.location, &line, None).await;
    listed
        .unwrap()
        .into_iter()
        .map(|entry| entry.slot)
        .collect()
}

/// Every object below the line, with its bytes.
async fn objects(location: &Location) -> Vec<(String, Vec<u8>)> {
    let entries = location.list_sorted(&identity("").line(), None, 1000).await;
    let mut objects = Vec::new();
    for entry in entries.unwrap() {
        let bytes = location.get_small(&entry.key, 1 << 30).await.unwrap();
        objects.push((entry.key, bytes.unwrap()));
    }
    objects
}

#[tokio::test]
async fn a_copy_is_the_same_byte_for_byte_and_restores_as_the_original() {
    let (from, to) = (chain().await, empty());
    let done = copy(&order(), &from, &to).await.unwrap();
    assert_eq!(done.copied.parts, 3);
    assert_eq!(done.slot.as_deref(), Some(SLOTS[2]));
    let newest = from.manifest(SLOTS[2]).await;
    assert_eq!(done.consistency_time, Some(newest.consistency_time));
    assert_eq!(objects(&from.location).await, objects(&to.location).await);

    let chain = catalog::restore_set(&to.location, &identity("").line(), SLOTS[2]).await;
    let manifests = chain
        .unwrap()
        .iter()
        .map(crate::manifest::chain::Head::reference)
        .collect();
    let target = target();
    run_import(import_order(manifests), &to, &target)
        .await
        .unwrap();

    let again = copy(&order(), &from, &to).await.unwrap();
    assert_eq!(again.copied, crate::api::common::Totals::default());
    assert_eq!(again.slot, done.slot);
}

#[tokio::test]
async fn copies_have_rules_of_their_own() {
    let (from, to) = (fulls().await, empty());
    copy(&keep_last(1), &from, &to).await.unwrap();
    assert_eq!(slots(&to).await, SLOTS[2..], "only what stays is copied");

    let to = empty();
    copy(&order(), &from, &to).await.unwrap();
    // The original loses two of them.
    for slot in &SLOTS[..2] {
        let key = identity(slot).manifest_key();
        catalog::delete_backup(&from.location, &key).await.unwrap();
    }
    copy(&order(), &from, &to).await.unwrap();
    assert_eq!(slots(&to).await, SLOTS, "no rule: all stay");
    let held = ReplicateOrder {
        held: vec![SLOTS[0].to_owned()],
        ..keep_last(1)
    };
    let done = copy(&held, &from, &to).await.unwrap();
    assert_eq!(done.deleted.parts, 1);
    assert_eq!(slots(&to).await, [SLOTS[0], SLOTS[2]]);
    assert!(
        to.keys_with(SLOTS[1]).await.is_empty(),
        "its files went too"
    );
}

#[tokio::test]
async fn a_chain_is_kept_together() {
    let (from, to) = (chain().await, empty());
    let done = copy(&keep_last(1), &from, &to).await.unwrap();
    assert_eq!((done.copied.parts, done.deleted.parts), (3, 0));
    assert_eq!(slots(&to).await, SLOTS);
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_left_out_and_others_are_copied() {
    let (from, to) = (fulls().await, empty());
    let files = from.keys_with("/a1/parts/").await;
    tamper(&from.location, &files[0], |bytes| bytes[10] ^= 1).await;
    let done = copy(&order(), &from, &to).await.unwrap();
    let failure = done.left_out.unwrap();
    assert_eq!(failure.reason, Reason::DataCorrupt);
    assert!(failure.message.contains(&files[0]), "{}", failure.message);
    assert_eq!(slots(&to).await, SLOTS[1..]);

    // Nothing that builds on it either.
    let (from, to) = (chain().await, empty());
    let files = from.keys_with(&format!("{}/a1/parts/", SLOTS[0])).await;
    tamper(&from.location, &files[0], |bytes| bytes.truncate(5)).await;
    let done = copy(&keep_last(1), &from, &to).await.unwrap();
    let failure = done.left_out.unwrap();
    assert!(failure.message.starts_with("3 of 3"), "{}", failure.message);
    assert!(slots(&to).await.is_empty());
}

#[tokio::test]
async fn what_is_there_already_is_not_written_over() {
    let (from, to) = (fulls().await, empty());
    let other = run_export(&new_run("d4"), SLOTS[0], &to, &source()).await;
    let done = copy(&order(), &from, &to).await.unwrap();
    assert_eq!(done.copied.parts, 2);
    let kept = to.manifest(SLOTS[0]).await;
    assert_eq!((kept.run_id.as_str(), other.is_ok()), ("d4", true));
}

#[tokio::test]
async fn copies_go_nowhere_else() {
    let from = fulls().await;
    let same = Bucket {
        store: Arc::clone(&from.store),
        location: from.location.clone(),
    };
    let error = copy(&order(), &from, &same).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidSpec, "{error}");

    let mut theirs = order();
    theirs.identity.cluster_uid = "ffff".to_owned();
    let to = empty();
    copy(&theirs, &from, &to).await.unwrap();
    let error = copy(&order(), &from, &to).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ClaimedByAnother, "{error}");
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_next_run_completes_it() {
    let source = chain().await;
    let clean = FailingStore::new(&[]);
    replicate(&later(), &order(), &source.location, &clean.location())
        .await
        .unwrap();
    let calls = clean.all_calls();
    assert!(calls >= 15, "{calls}");
    let wanted = objects(&source.location).await;
    for failure in [
        Failure::KilledBefore,
        Failure::KilledAfter,
        Failure::Unavailable,
        Failure::AnswerLost,
        Failure::Forbidden,
    ] {
        for number in 1..=calls {
            let what = format!("{failure:?} at call {number} of {calls}");
            let store = FailingStore::at_call(number, failure);
            let (run, order, to) = (later(), order(), store.location());
            tokio::select! {
                biased;
                _ = replicate(&run, &order, &source.location, &to) => {}
                () = store.killed() => {}
            }
            let to = store.with_script(&[]).location();
            // A manifest that is there has its files.
            let there = objects(&to).await;
            for (key, _) in there.iter().filter(|(key, _)| key.contains("/manifests/")) {
                let (manifest, _) = catalog::read_to_copy(&to, key).await.unwrap().unwrap();
                let run = later();
                crate::job::check_whole(&run, &to, &manifest, Preflight::Digests, 1)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            replicate(&later(), &order, &source.location, &to)
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(objects(&to).await == wanted, "{what}");
        }
    }
}
