//! What the service is told, and answers that are none.

use tokio::net::TcpListener;

use super::*;
use crate::api::conditions::Reason;

/// A stand-in for a server: reads what one connection says, answers, and closes.
async fn stand_in(answer: Vec<u8>) -> (Service, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = Service::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = vec![0; 1000];
        let length = stream.read(&mut said).await.unwrap();
        said.truncate(length);
        stream.write_all(&answer).await.unwrap();
        said
    });
    (service, task)
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[tokio::test]
async fn requests_are_the_vendors() {
    let (service, said) = stand_in(Vec::new()).await;
    let since = 1_500_000_000_000_000_000;
    let mut answer = service
        .shard("d \"x\"", "r", u64::MAX, Some(since))
        .await
        .unwrap();
    assert_eq!(answer.next().await.unwrap(), None);
    let said = said.await.unwrap();
    assert_eq!(&said[..2], [3, 0]);
    assert_eq!(said.last(), Some(&b'\n'));
    let request: serde_json::Value = serde_json::from_slice(&said[2..]).unwrap();
    assert_eq!(request["BackupDatabase"], "d \"x\"");
    assert_eq!(request["ShardID"], u64::MAX);
    assert_eq!(request["Since"], "2017-07-14T02:40:00Z");
}

#[tokio::test]
async fn metadata_that_is_none() {
    for (answer, reason) in [
        (b"HTTP/1.1 400 Bad Request".to_vec(), Reason::DatabaseError),
        (Vec::new(), Reason::DatabaseError),
        (words(&[MAGIC, 5]), Reason::DatabaseUnreachable),
        (words(&[MAGIC, u64::MAX]), Reason::DatabaseUnreachable),
    ] {
        let (service, _) = stand_in(answer.clone()).await;
        let error = service.metadata().await.unwrap_err();
        assert_eq!(error.reason(), reason, "{answer:?} {error}");
    }
}

#[tokio::test]
async fn shards_that_can_not_be_read() {
    for answer in [
        &b"{\"Paths\":[\"d/r/1\""[..],
        b"{\"Paths\":[\"r\"]}",
        b"{\"Paths\":[\"d/r/x\"]}",
    ] {
        let (service, _) = stand_in(answer.to_vec()).await;
        assert!(service.shards("d").await.is_err(), "{answer:?}");
    }
    let (service, _) = stand_in(Vec::new()).await;
    let error = service.shards("d").await.unwrap_err();
    assert!(
        matches!(error, EngineError::SourceChanged { .. }),
        "{error}"
    );
    let (service, _) = stand_in(b"{\"Paths\":[\"d/r p/12\"]}\n".to_vec()).await;
    assert_eq!(service.shards("d").await.unwrap(), [("r p".to_owned(), 12)]);
}

/// A server that fails closes the connection and leaves the rest unread.
#[tokio::test]
async fn an_upload_that_nobody_reads_to_its_end_is_no_success() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = Service::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = [0; 10];
        stream.read_exact(&mut said).await.unwrap();
        stream.peek(&mut [0]).await.unwrap();
        said
    });
    let mut upload = service.update(7).await.unwrap();
    upload.write(&[1; 4096]).await.unwrap();
    let said = server.await.unwrap();
    assert_eq!(said[..], [&[3, 7][..], &7u64.to_be_bytes()].concat());
    let error = upload.finish().await.unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseUnreachable, "{error}");
}

#[test]
fn answers_to_metadata() {
    assert_eq!(pairs(&words(&[MAGIC, 0])), Some(HashMap::new()));
    assert_eq!(
        pairs(&words(&[MAGIC, 1, 4, 9])),
        Some(HashMap::from([(4, 9)]))
    );
    for bad in [
        words(&[MAGIC]),
        words(&[1, 0]),
        words(&[MAGIC, 2, 4, 9]),
        words(&[MAGIC, 1, 4, 9, 5]),
        words(&[MAGIC, 2, 4, 9, 4, 8]),
        words(&[MAGIC, u64::MAX, 4, 9]),
        words(&[MAGIC, 1, 4, 9])[..30].to_vec(),
        Vec::new(),
    ] {
        assert_eq!(pairs(&bad), None, "{bad:?}");
    }
}
