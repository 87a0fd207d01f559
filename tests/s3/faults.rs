//! A network and a server that fail in the middle of things.

use lifeboat::api::conditions::Reason;
use lifeboat::storage::{Created, Location};
use lifeboat::transfer::RecordSink;

use crate::proxy::{Fate, Proxy, Rule, refusal};
use crate::setup::{ME, Setup, noise, read_all, writer};

const KEY: &str = "lifeboat/v1/prod/iot/schedules/t/manifests/20261120t101500z.json";

async fn behind(setup: &Setup, rules: Vec<Rule>) -> (Proxy, Location) {
    let proxy = Proxy::start(&setup.endpoint, rules).await;
    let setup = Setup {
        endpoint: proxy.endpoint.clone(),
        ..setup.clone()
    };
    let location = setup.open().unwrap();
    (proxy, location)
}

#[tokio::test]
async fn the_commit_survives_a_lost_answer() {
    let Some(setup) = Setup::get() else { return };
    let put: &[&str] = &["PUT ", "20261120t101500z.json"];
    let get: &[&str] = &["GET ", "20261120t101500z.json"];
    for rules in [
        vec![(put, Fate::AnswerLost)],
        vec![
            (put, Fate::AnswerLost),
            (get, refusal("503 Slow Down", "SlowDown")),
        ],
        vec![
            (put, Fate::Cut),
            (put, refusal("500 Internal", "InternalError")),
        ],
        vec![
            (put, refusal("503 Slow Down", "SlowDown")),
            (put, Fate::AnswerLost),
        ],
    ] {
        let setup = Setup::get().unwrap_or_else(|| setup.clone());
        let (proxy, location) = behind(&setup, rules.clone()).await;
        let created = location.put_create(KEY, b"mine".to_vec()).await;
        assert_eq!(created.unwrap(), Created::Created, "{rules:?}");
        assert_eq!(proxy.left(), 0, "{rules:?}");
        let other = location.put_create(KEY, b"not mine".to_vec()).await;
        assert_eq!(other.unwrap(), Created::Exists);
        assert_eq!(location.get_small(KEY, 10).await.unwrap().unwrap(), b"mine");
    }
}

#[tokio::test]
async fn a_part_goes_through_a_network_that_fails() {
    let Some(setup) = Setup::get() else { return };
    let (proxy, location) = behind(
        &setup,
        vec![
            (&["POST ", "?uploads"], refusal("503 Slow Down", "SlowDown")),
            (&["partNumber=1&"], refusal("503 Slow Down", "SlowDown")),
            (&["partNumber=1&"], refusal("500 Internal", "InternalError")),
            (&["partNumber=2&"], Fate::Cut),
            (&["partNumber=3&"], Fate::AnswerLost),
            (
                &["POST ", "?uploadId="],
                refusal("503 Slow Down", "SlowDown"),
            ),
            (&["GET ", "data/"], Fate::AnswerCut(3 << 20)),
            (&["GET ", "data/"], Fate::AnswerCut(200)),
            (&["GET ", "data/"], Fate::Cut),
            (&["GET ", "data/"], Fate::AnswerCut(2 << 20)),
        ],
    )
    .await;
    let records = noise(12 << 20);
    let mut writer = writer(&location, "failing");
    writer.write(records.clone()).await.unwrap();
    let files = writer.finish().await.unwrap();
    assert!(read_all(&location, &files).await.unwrap() == records);
    assert_eq!(proxy.left(), 0);
}

#[tokio::test]
async fn the_answer_to_the_last_call_of_an_upload_may_be_lost() {
    let Some(setup) = Setup::get() else { return };
    let complete: &[&str] = &["POST ", "?uploadId="];
    let (proxy, location) = behind(&setup, vec![(complete, Fate::AnswerLost)]).await;
    let records = noise(6 << 20);
    let mut writer = writer(&location, "lost");
    writer.write(records.clone()).await.unwrap();
    let files = writer.finish().await.unwrap();
    assert!(read_all(&location, &files).await.unwrap() == records);
    assert_eq!(proxy.left(), 0);
}

#[tokio::test]
async fn an_upload_that_is_refused_is_aborted() {
    let Some(setup) = Setup::get() else { return };
    let refused = refusal("403 Forbidden", "AccessDenied");
    let (proxy, location) = behind(&setup, vec![(&["partNumber=2&"], refused)]).await;
    let mut writer = writer(&location, "refused");
    let error = match writer.write(noise(11 << 20)).await {
        Ok(()) => writer.finish().await.unwrap_err(),
        Err(error) => {
            writer.abort().await;
            error
        }
    };
    assert_eq!(error.reason(), Reason::AccessDenied);
    assert_eq!(proxy.seen(&["DELETE ", "uploadId="]), 1);
    assert!(
        location
            .list_sorted("lifeboat/v1", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_server_that_is_not_what_it_seems() {
    let Some(setup) = Setup::get() else { return };
    let elsewhere = Proxy::start(&setup.endpoint, Vec::new()).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        elsewhere.endpoint
    );
    let endless = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n<Error><Code>AccessDenied</Code></Error>";
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";
    for (fate, reason) in [
        (Fate::Answered(redirect), Reason::InvalidSpec),
        (Fate::Flooded(endless.to_owned()), Reason::AccessDenied),
        (Fate::Answered(html.to_owned()), Reason::InvalidSpec),
    ] {
        let (_proxy, location) = behind(&setup, vec![(&["GET "], fate.clone())]).await;
        let checked = lifeboat::storage::validate(&location, &ME, jiff::Timestamp::now());
        assert_eq!(checked.await.unwrap_err().reason, reason, "{fate:?}");
    }
    assert_eq!(
        elsewhere.seen(&[]),
        0,
        "a redirect was followed with a signature"
    );
}
