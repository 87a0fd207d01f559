//! The conversation with a server's backup service (port 8088).
//!
//! Vendor source: `services/snapshotter/{service,client}.go` 1.5 to 1.8. A connection is one request:
//! byte 3, the request's type, JSON and a newline, or for a shard that comes in its number; the answer
//! lasts until the server closes. There is no login and no TLS, and **an error is told to nobody but
//! the server's log**: the connection just ends. So whoever asks looks whether the answer is whole.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;
use super::meta::Meta;
use crate::engine::EngineError;
use crate::engine::http::{is_link_local, word};

/// Tells the service from others on the port.
const SERVICE: u8 = 3;
const SHARD_BACKUP: u8 = 0;
const METADATA_BACKUP: u8 = 1;
const DATABASE_INFO: u8 = 3;
const METADATA_UPDATE: u8 = 6;
const SHARD_UPDATE: u8 = 7;
/// The first eight bytes of metadata, and of the answer to some.
const MAGIC: u64 = 0x5959_0101;

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the server may be silent: it writes its cache down before it sends a shard, and reads
/// all keys of one that came in before it closes.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// The most bytes of a small answer.
const SMALL: u64 = 64 << 20;
/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;
/// Attempts to hand metadata over: 1.7 and older read it with one call, and take what has arrived.
const METADATA_ATTEMPTS: u32 = 3;
const METADATA_WAIT: Duration = Duration::from_millis(300);

/// The backup service of a server.
#[derive(Clone, Debug)]
pub(super) struct Service {
    address: Address,
    /// Host and port, for people.
    name: String,
}

impl Service {
    /// At `address`, such as `influxdb:8088`.
    pub(super) fn new(address: &str) -> Result<Self, EngineError> {
        let address = Address::parse(address)?;
        Ok(Self {
            name: address.to_string(),
            address,
        })
    }

    /// Host and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The server's metadata.
    pub(super) async fn metadata(&self) -> Result<Meta, EngineError> {
        let answer = self
            .ask(METADATA_BACKUP, &json!({ "Type": METADATA_BACKUP }))
            .await?;
        let number = |at: usize| Some(u64::from_be_bytes(answer.get(at..at + 8)?.try_into().ok()?));
        if number(0) != Some(MAGIC) {
            return Err(
                self.odd("it does not answer as the backup service of InfluxDB OSS 1.5 or later")
            );
        }
        let length = number(8).and_then(|length| usize::try_from(length).ok());
        length
            .and_then(|length| answer[16..].get(..length))
            .and_then(Meta::read)
            .ok_or_else(|| self.lost("its metadata came cut off or can't be read"))
    }

    /// The shards of a database that are on the server: retention policy and number.
    pub(super) async fn shards(&self, database: &str) -> Result<Vec<(String, u64)>, EngineError> {
        #[derive(serde::Deserialize)]
        struct Answer {
            #[serde(rename = "Paths")]
            paths: Option<Vec<String>>,
        }
        let request = json!({ "Type": DATABASE_INFO, "BackupDatabase": database });
        let answer = self.ask(DATABASE_INFO, &request).await?;
        if answer.is_empty() {
            return Err(EngineError::SourceChanged {
                problem: format!("the database {database:?} is gone"),
            });
        }
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|_| self.lost("its list of shards came cut off or can't be read"))?;
        let shard = |path: String| {
            let (rest, id) = path.rsplit_once('/')?;
            let (_, policy) = rest.rsplit_once('/')?;
            Some((policy.to_owned(), id.parse().ok()?))
        };
        let paths = answer.paths.unwrap_or_default().into_iter();
        paths
            .map(|path| shard(path).ok_or_else(|| self.odd("it names a shard without a number")))
            .collect()
    }

    /// Asks for a shard's files, as a tar archive: those written after `since`, in nanoseconds since
    /// 1970; none: all.
    pub(super) async fn shard(
        &self,
        database: &str,
        policy: &str,
        id: u64,
        since: Option<i64>,
    ) -> Result<Answer<'_>, EngineError> {
        let since = since
            .and_then(|since| jiff::Timestamp::from_nanosecond(i128::from(since)).ok())
            .map_or_else(
                || "0001-01-01T00:00:00Z".to_owned(),
                |since| since.to_string(),
            );
        let request = json!({
            "Type": SHARD_BACKUP,
            "BackupDatabase": database,
            "BackupRetentionPolicy": policy,
            "ShardID": id,
            "Since": since,
        });
        self.send(SHARD_BACKUP, &request, &[]).await
    }

    /// Hands metadata over, which must hold one database that the server does not have. The server
    /// makes it, and says which of its shards have the place of which.
    pub(super) async fn make(
        &self,
        meta: &Meta,
        database: &str,
    ) -> Result<HashMap<u64, u64>, EngineError> {
        let payload = meta.write();
        let request = json!({
            "Type": METADATA_UPDATE,
            "BackupDatabase": database,
            "RestoreDatabase": database,
            "UploadSize": payload.len(),
        });
        for attempt in 1..=METADATA_ATTEMPTS {
            let answer = self.send(METADATA_UPDATE, &request, &payload).await?;
            let pairs = pairs(&answer.small().await?)
                .ok_or_else(|| self.odd("its answer to metadata can't be read"))?;
            if !pairs.is_empty() {
                return Ok(pairs);
            }
            if attempt < METADATA_ATTEMPTS {
                tokio::time::sleep(METADATA_WAIT).await;
            }
        }
        Err(self.odd(&format!(
            "it did not make the database {database:?} and does not say why; its log does"
        )))
    }

    /// Begins to hand a shard's files over, as a tar archive.
    pub(super) async fn update(&self, id: u64) -> Result<Upload<'_>, EngineError> {
        let mut stream = self.connect().await?;
        let mut head = vec![SERVICE, SHARD_UPDATE];
        head.extend_from_slice(&id.to_be_bytes());
        let sent = stream.write_all(&head).await;
        sent.map_err(|error| self.lost(&word(&error.to_string())))?;
        Ok(Upload {
            service: self,
            stream,
        })
    }

    async fn ask(&self, kind: u8, request: &serde_json::Value) -> Result<Vec<u8>, EngineError> {
        self.send(kind, request, &[]).await?.small().await
    }

    async fn send(
        &self,
        kind: u8,
        request: &serde_json::Value,
        payload: &[u8],
    ) -> Result<Answer<'_>, EngineError> {
        let mut stream = self.connect().await?;
        let mut all = vec![SERVICE, kind];
        all.extend_from_slice(request.to_string().as_bytes());
        all.push(b'\n');
        all.extend_from_slice(payload);
        let sent = timeout(SILENCE_LIMIT, stream.write_all(&all)).await;
        match sent {
            Ok(Ok(())) => Ok(Answer {
                service: self,
                stream,
            }),
            Ok(Err(error)) => Err(self.lost(&word(&error.to_string()))),
            Err(_) => Err(self.silent()),
        }
    }

    async fn connect(&self) -> Result<TcpStream, EngineError> {
        let stream = timeout(CONNECT_TIME, self.tcp())
            .await
            .unwrap_or_else(|_| {
                Err(self.lost(&format!("no connection in {} s", CONNECT_TIME.as_secs())))
            })?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn tcp(&self) -> Result<TcpStream, EngineError> {
        let found = tokio::net::lookup_host((self.address.host.as_str(), self.address.port))
            .await
            .map_err(|error| self.lost(&word(&error.to_string())))?;
        let mut problem = "the name leads to no address that may be spoken to".to_owned();
        for address in found.filter(|address: &SocketAddr| !is_link_local(address.ip())) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => problem = word(&error.to_string()),
            }
        }
        Err(self.lost(&problem))
    }

    /// The connection, or the end of what was told, is not there.
    pub(super) fn lost(&self, problem: &str) -> EngineError {
        EngineError::Unreachable {
            server: self.name.clone(),
            problem: problem.to_owned(),
        }
    }

    fn silent(&self) -> EngineError {
        self.lost(&format!("it was silent for {} s", SILENCE_LIMIT.as_secs()))
    }

    fn odd(&self, problem: &str) -> EngineError {
        EngineError::Server {
            server: self.name.clone(),
            problem: problem.to_owned(),
            retryable: false,
        }
    }
}

/// What the server says to one request.
pub(super) struct Answer<'a> {
    service: &'a Service,
    stream: TcpStream,
}

impl Answer<'_> {
    /// The next bytes; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        let mut piece = BytesMut::with_capacity(PIECE);
        match timeout(SILENCE_LIMIT, self.stream.read_buf(&mut piece)).await {
            Ok(Ok(0)) => Ok(None),
            Ok(Ok(_)) => Ok(Some(piece.freeze())),
            Ok(Err(error)) => Err(self.service.lost(&word(&error.to_string()))),
            Err(_) => Err(self.service.silent()),
        }
    }

    async fn small(mut self) -> Result<Vec<u8>, EngineError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
            if all.len() as u64 > SMALL {
                return Err(self.service.odd("its answer is longer than 64 MiB"));
            }
        }
        Ok(all)
    }
}

/// A shard on its way to the server.
pub(super) struct Upload<'a> {
    service: &'a Service,
    stream: TcpStream,
}

impl Upload<'_> {
    /// Sends the next bytes of the archive.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        match timeout(SILENCE_LIMIT, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(|error| self.service.lost(&word(&error.to_string()))),
            Err(_) => Err(self.service.silent()),
        }
    }

    /// Waits until the server has done with the archive, whose end was sent. It closes the connection
    /// in good and in bad times; only what it left unread makes a difference.
    pub(super) async fn finish(mut self) -> Result<(), EngineError> {
        let mut rest = [0; 64];
        match timeout(SILENCE_LIMIT, self.stream.read(&mut rest)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.service.lost(&word(&error.to_string()))),
            Err(_) => Err(self.service.silent()),
        }
    }
}

/// The server's answer to metadata: old and new numbers of shards.
fn pairs(answer: &[u8]) -> Option<HashMap<u64, u64>> {
    let mut numbers = answer
        .chunks(8)
        .map(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
    if numbers.next()?? != MAGIC {
        return None;
    }
    let count = numbers.next()??;
    let rest: Vec<u64> = numbers.collect::<Option<_>>()?;
    let pairs: HashMap<u64, u64> = rest
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    (rest.len() as u64 == count.checked_mul(2)? && pairs.len() as u64 == count).then_some(pairs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "wire_test.rs"]
mod tests;
