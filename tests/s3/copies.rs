//! Copies between two locations on a real server: by the server itself, and streamed.

use lifeboat::api::common::Codec;
use lifeboat::api::conditions::Reason;
use lifeboat::api::restore::Preflight;
use lifeboat::manifest::PartFile;
use lifeboat::storage::Location;
use lifeboat::transfer::{Copier, RecordSink, Throttle, TransferError, check_file};

use crate::proxy::{Fate, Proxy, Rule, refusal};
use crate::setup::{DIR, Setup, noise, var, writer};

/// Larger than one piece of an upload.
const SIZE: usize = (12 << 20) + 17;

/// Two locations on one server, behind a network that fails.
struct Pair {
    proxy: Proxy,
    from: Location,
    to: Location,
}

async fn pair(setup: &Setup, rules: Vec<Rule>) -> Pair {
    let proxy = Proxy::start(&setup.endpoint, rules).await;
    let at = |prefix: &str| Setup {
        endpoint: proxy.endpoint.clone(),
        prefix: format!("{}/{prefix}", setup.prefix),
        ..setup.clone()
    };
    let (from, to) = (at("from").open().unwrap(), at("to").open().unwrap());
    Pair { proxy, from, to }
}

/// A part of so many bytes, written around the proxy's rules.
async fn written(setup: &Setup, size: usize) -> PartFile {
    let direct = Setup {
        prefix: format!("{}/from", setup.prefix),
        ..setup.clone()
    };
    let mut writer = writer(&direct.open().unwrap(), "part");
    writer.write(noise(size)).await.unwrap();
    writer.finish().await.unwrap().pop().unwrap()
}

async fn copy(pair: &Pair, file: &PartFile) -> Result<(), TransferError> {
    let throttle = Throttle::unlimited();
    let copier = Copier::new(pair.from.clone(), pair.to.clone(), 1, throttle);
    let key = format!("{DIR}/{}", file.path);
    copier
        .copy(&key, file.stored_size, &file.stored_sha256)
        .await
}

async fn is_whole(location: &Location, file: &PartFile) {
    check_file(location, DIR, file, Codec::Zstd, Preflight::Digests)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_server_copies_by_itself_whatever_answer_is_lost() {
    let put: &[&str] = &["PUT ", "/to/"];
    for (size, rules) in [
        (1, vec![]),
        (SIZE, vec![]),
        (SIZE, vec![(put, Fate::AnswerLost)]),
        (
            SIZE,
            vec![
                (put, Fate::Cut),
                (put, refusal("503 Slow Down", "SlowDown")),
            ],
        ),
    ] {
        let Some(setup) = Setup::get() else { return };
        let file = written(&setup, size).await;
        let pair = pair(&setup, rules).await;
        copy(&pair, &file).await.unwrap();
        assert_eq!(
            pair.proxy.seen(&["GET "]),
            0,
            "no byte goes through the job"
        );
        assert_eq!(pair.proxy.left(), 0);
        is_whole(&pair.to, &file).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_copy_is_streamed_from_and_to() {
    let put: &[&str] = &["PUT ", "/to/"];
    for refused in [
        refusal("501 Not Implemented", "NotImplemented"),
        refusal("403 Forbidden", "AccessDenied"),
    ] {
        let Some(setup) = Setup::get() else { return };
        let file = written(&setup, SIZE).await;
        let rules = vec![
            (put, refused),
            (&["GET ", "/from/"] as &[&str], Fate::AnswerCut(3 << 20)),
            (&["partNumber=2&"], Fate::AnswerLost),
            (&["POST ", "uploadId"], Fate::AnswerLost),
        ];
        let pair = pair(&setup, rules).await;
        copy(&pair, &file).await.unwrap();
        assert_eq!(pair.proxy.left(), 0);
        is_whole(&pair.to, &file).await;
        // It is there, so nothing is read again.
        let gets = pair.proxy.seen(&["GET ", "/from/"]);
        copy(&pair, &file).await.unwrap();
        assert_eq!(pair.proxy.seen(&["GET ", "/from/"]), gets);
    }
}

#[tokio::test]
async fn another_login_is_streamed() {
    let Some(setup) = Setup::get() else { return };
    let (Some(access_key), Some(secret_key)) = (var("READ_ACCESS_KEY"), var("READ_SECRET_KEY"))
    else {
        return;
    };
    let file = written(&setup, SIZE).await;
    let mut pair = pair(&setup, vec![]).await;
    let reader = Setup {
        access_key,
        secret_key,
        endpoint: pair.proxy.endpoint.clone(),
        prefix: format!("{}/from", setup.prefix),
        ..setup.clone()
    };
    pair.from = reader.open().unwrap();
    copy(&pair, &file).await.unwrap();
    assert!(pair.proxy.seen(&["GET ", "/from/"]) > 0);
    is_whole(&pair.to, &file).await;
}

#[tokio::test]
async fn changed_bytes_are_found_and_nothing_is_left() {
    let Some(setup) = Setup::get() else { return };
    let file = written(&setup, SIZE).await;
    let pair = pair(&setup, vec![]).await;
    let key = format!("{DIR}/{}", file.path);
    let size = usize::try_from(file.stored_size).unwrap();
    pair.from.put(&key, noise(size)).await.unwrap();
    let mut other = pair.from.get_small(&key, size).await.unwrap().unwrap();
    other[7] ^= 1;
    pair.from.put(&key, other.into()).await.unwrap();
    let error = copy(&pair, &file).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DataCorrupt, "{error}");
    assert_eq!(pair.to.size(&key).await.unwrap(), None);
}
