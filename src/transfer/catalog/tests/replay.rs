use crate::api::conditions::Reason;
use crate::manifest::Manifest;
use crate::manifest::chain::{Next, Replayed};
use crate::manifest::line::manifest_key;
use crate::manifest::samples::{LINE, full, slot, time, window};
use crate::storage::Location;
use crate::storage::testing::{FailingStore, Op, tamper};
use crate::transfer::catalog::{delete_backup, next_to_replay, read_backup, void};

/// What a standby is told, in short.
async fn next(location: &Location, last: Option<&Replayed>) -> String {
    let minute = |slot: &str| slot[11..13].trim_start_matches('0').to_owned();
    match next_to_replay(location, LINE, last).await {
        Ok(Next::UpToDate) => "up to date".to_owned(),
        Ok(Next::Full(head)) => format!("full {}", minute(&head.slot)),
        Ok(Next::Window(head)) => format!("window {}", minute(&head.slot)),
        Ok(Next::Reseed(set)) => {
            let set: Vec<String> = set.iter().map(|head| minute(&head.slot)).collect();
            format!("reseed {}", set.join(" "))
        }
        Ok(Next::Broken(error)) => format!("broken: {error}"),
        Err(error) => format!("{}", error.reason()),
    }
}

async fn held(location: &Location, minute: i64) -> Option<Replayed> {
    let key = manifest_key(LINE, &slot(minute));
    let stored = read_backup(location, &key, None).await.unwrap();
    Some(Replayed {
        slot: slot(minute),
        sha256: stored.reference.sha256,
    })
}

async fn remove(location: &Location, minute: i64) {
    let key = manifest_key(LINE, &slot(minute));
    delete_backup(location, &key).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_standby_follows_step_by_step() {
    for (location, _dir) in super::locations() {
        assert_eq!(next(&location, None).await, "up to date");
        super::filled(&location).await;
        assert_eq!(next(&location, None).await, "reseed 5 6");
        for (minute, expected) in [
            (0, "window 1"),
            (1, "window 2"),
            (2, "full 5"),
            (5, "window 6"),
            (6, "up to date"),
        ] {
            let last = held(&location, minute).await;
            assert_eq!(next(&location, last.as_ref()).await, expected, "{minute}");
        }
        let last = held(&location, 6).await;
        void(&location, &full(7).identity, "lost", time(480))
            .await
            .unwrap();
        assert_eq!(next(&location, last.as_ref()).await, "up to date");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_edited() {
    struct Row {
        name: &'static str,
        last: i64,
        gone: &'static [i64],
        edited: &'static [i64],
        expected: &'static str,
    }
    let row = |name, last, gone, edited, expected| Row {
        name,
        last,
        gone,
        edited,
        expected,
    };
    for row in [
        row("a later full leads past a gap", 0, &[1], &[], "reseed 5 6"),
        row(
            "a later full leads past an edited one",
            0,
            &[],
            &[1],
            "reseed 5 6",
        ),
        row("what is held was pruned", 1, &[0, 1], &[], "window 2"),
        row("the next full was edited", 2, &[], &[5], "ManifestInvalid"),
        row(
            "the next full is gone",
            2,
            &[5],
            &[],
            "broken: the backup 20261120t100600z builds on 20261120t100500z, which is not in the bucket; restore one that is older than 20261120t100500z, or wait for the next full backup",
        ),
        row("the newest was edited", 5, &[], &[6], "ManifestInvalid"),
        row(
            "the newest was edited, others wait",
            0,
            &[],
            &[6],
            "window 1",
        ),
        row(
            "the newest was edited, and the next",
            0,
            &[],
            &[1, 6],
            "reseed 5",
        ),
        row("all that is newer is gone", 2, &[5, 6], &[], "up to date"),
    ] {
        let location = FailingStore::new(&[]).location();
        super::filled(&location).await;
        let last = held(&location, row.last).await;
        for minute in row.gone {
            remove(&location, *minute).await;
        }
        for minute in row.edited {
            let key = manifest_key(LINE, &slot(*minute));
            tamper(&location, &key, |bytes| bytes.truncate(50)).await;
        }
        assert_eq!(
            next(&location, last.as_ref()).await,
            row.expected,
            "{}",
            row.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn another_line_under_the_same_name() {
    let location = FailingStore::new(&[]).location();
    super::filled(&location).await;
    let other = Replayed {
        slot: slot(2),
        sha256: "0".repeat(64),
    };
    assert_eq!(next(&location, Some(&other)).await, "reseed 5 6");
}

#[tokio::test(start_paused = true)]
async fn following_costs_little() {
    let store = FailingStore::new(&[]);
    let mut line: Vec<Manifest> = vec![full(0)];
    line.extend((1..50).map(|minute| window(minute, 0, minute - 1)));
    super::fill(&store.location(), &line).await;
    for (minute, lists, gets) in [(49, 1, 0), (48, 1, 2), (10, 1, 2)] {
        let last = held(&store.location(), minute).await;
        let counted = store.with_script(&[]);
        next(&counted.location(), last.as_ref()).await;
        assert_eq!(
            (counted.calls(Op::List), counted.calls(Op::Get)),
            (lists, gets),
            "{minute}"
        );
    }
}

#[test]
fn reasons_are_words() {
    assert_eq!(Reason::ManifestInvalid.to_string(), "ManifestInvalid");
}
