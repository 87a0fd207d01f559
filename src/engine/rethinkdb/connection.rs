//! One connection: TCP or TLS, the handshake `V1_0`, and frames.
//!
//! Vendor source: `src/client_protocol/server.cc`, and the driver guide "Writing RethinkDB drivers".

use std::io;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::time::timeout;

use super::answer::{self, Refusal, Shape, Values};
use super::fault;
use super::large::Gate;
use super::login::Login;
use super::scram::Scram;
use crate::engine::EngineError;

const MAGIC: u32 = 0x34c2_bdc3;
/// The most bytes of a message of the handshake.
const HANDSHAKE_LIMIT: usize = 16 * 1024;
/// The most bytes of an answer. The server takes no row above 64 MiB; text that it escapes is longer.
const FRAME_LIMIT: u32 = 160 << 20;
/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(20);
/// How long the server may be silent: it may build an index or wait for a replica.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);

const START: &str = "1";
const CONTINUE: &str = "[2]";

/// Raw formats, so that nothing is turned on its way. Batches of some rows, so that a large row
/// comes alone.
const OPTIONS: &str =
    r#"{"time_format":"raw","binary_format":"raw","min_batch_rows":1,"max_batch_bytes":262144}"#;

/// What bytes go through.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection that is logged in. One query runs at a time; dropped within one, the server ends it.
pub(super) struct Connection {
    stream: BufStream<Box<dyn Transport>>,
    server: String,
    version: String,
    token: u64,
    gate: Gate,
}

#[derive(Deserialize)]
struct Reply {
    success: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_code: u64,
    #[serde(default)]
    authentication: String,
    #[serde(default)]
    server_version: String,
}

impl Connection {
    /// Logs in.
    pub(super) async fn open(
        stream: Box<dyn Transport>,
        server: &str,
        login: &Login,
        gate: Gate,
    ) -> Result<Self, EngineError> {
        let mut connection = Self {
            stream: BufStream::with_capacity(16 * 1024, 16 * 1024, stream),
            server: server.to_owned(),
            version: String::new(),
            token: 0,
            gate,
        };
        timeout(HANDSHAKE_TIME, connection.handshake(login))
            .await
            .unwrap_or_else(|_| Err(connection.silent(HANDSHAKE_TIME)))?;
        Ok(connection)
    }

    /// The server's version, as the handshake says it.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    async fn handshake(&mut self, login: &Login) -> Result<(), EngineError> {
        let scram = Scram::new(&login.user, uuid::Uuid::new_v4().simple().to_string());
        let first = serde_json::json!({
            "protocol_version": 0,
            "authentication_method": "SCRAM-SHA-256",
            "authentication": scram.first(),
        });
        let mut hello = MAGIC.to_le_bytes().to_vec();
        hello.extend_from_slice(first.to_string().as_bytes());
        hello.push(0);
        self.send(&[&hello]).await?;
        let version = self.reply(login).await?.server_version;
        self.version = version
            .chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect();
        let reply = self.reply(login).await?;
        let refuse = |error: super::scram::ScramError| EngineError::LoginFailed {
            server: self.server.clone(),
            problem: error.to_string(),
        };
        let (answer, proof) = scram
            .answer(&reply.authentication, &login.password)
            .map_err(refuse)?;
        let answer = serde_json::json!({ "authentication": answer }).to_string();
        self.send(&[answer.as_bytes(), &[0]]).await?;
        let reply = self.reply(login).await?;
        proof
            .check(&reply.authentication)
            .map_err(|error| EngineError::LoginFailed {
                server: self.server.clone(),
                problem: error.to_string(),
            })
    }

    async fn reply(&mut self, login: &Login) -> Result<Reply, EngineError> {
        let mut text = Vec::new();
        loop {
            match self.stream.read_u8().await.map_err(|e| self.lost(&e))? {
                0 => break,
                byte if text.len() < HANDSHAKE_LIMIT => text.push(byte),
                _ => return Err(fault::garbled(&self.server, "its greeting has no end")),
            }
        }
        let reply: Reply = serde_json::from_slice(&text).map_err(|_| EngineError::Version {
            server: self.server.clone(),
            version: "that is not known".to_owned(),
            problem: format!(
                "it does not log in as RethinkDB 2.3 and later do, it says {:?}",
                fault::word(&String::from_utf8_lossy(&text))
            ),
        })?;
        if reply.success {
            return Ok(reply);
        }
        let (server, problem) = (self.server.clone(), fault::word(&reply.error));
        // Codes from 10 to 20 are those of a login.
        Err(if (10..=20).contains(&reply.error_code) {
            EngineError::LoginFailed {
                server,
                problem: format!("{problem} (user {:?})", login.user),
            }
        } else {
            EngineError::Server {
                server,
                problem,
                retryable: false,
            }
        })
    }

    async fn send(&mut self, pieces: &[&[u8]]) -> Result<(), EngineError> {
        let all = async {
            for piece in pieces {
                self.stream.write_all(piece).await?;
            }
            self.stream.flush().await
        };
        match timeout(SILENCE_LIMIT, all).await {
            Ok(sent) => sent.map_err(|error| self.lost(&error)),
            Err(_) => Err(self.silent(SILENCE_LIMIT)),
        }
    }

    async fn send_query(&mut self, pieces: &[&str]) -> Result<(), EngineError> {
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        let size = u32::try_from(size)
            .map_err(|_| fault::garbled(&self.server, "a query grew beyond 4 GiB"))?;
        let (token, size) = (self.token.to_le_bytes(), size.to_le_bytes());
        let mut all: Vec<&[u8]> = vec![&token, &size];
        all.extend(pieces.iter().map(|piece| piece.as_bytes()));
        self.send(&all).await
    }

    async fn receive(&mut self) -> Result<(Shape, Values), EngineError> {
        let size = timeout(SILENCE_LIMIT, self.head())
            .await
            .unwrap_or_else(|_| Err(self.silent(SILENCE_LIMIT)))?;
        let pass = self.gate.enter(size).await;
        let frame = timeout(SILENCE_LIMIT, self.body(size))
            .await
            .unwrap_or_else(|_| Err(self.silent(SILENCE_LIMIT)))?;
        answer::parse(frame, pass).map_err(|refusal| match refusal {
            Refusal::Said(kind, text) => fault::said(&self.server, kind, &text),
            Refusal::Garbled(what) => fault::garbled(&self.server, what),
        })
    }

    /// The size of the next answer.
    async fn head(&mut self) -> Result<usize, EngineError> {
        let token = self.stream.read_u64_le().await.map_err(|e| self.lost(&e))?;
        let size = self.stream.read_u32_le().await.map_err(|e| self.lost(&e))?;
        if token != self.token {
            return Err(fault::garbled(
                &self.server,
                "an answer that nobody asked for",
            ));
        }
        if size > FRAME_LIMIT {
            return Err(fault::garbled(
                &self.server,
                "an answer of more than 160 MiB",
            ));
        }
        Ok(size as usize)
    }

    async fn body(&mut self, size: usize) -> Result<Vec<u8>, EngineError> {
        // What is not written to takes no memory: a size alone costs nothing. One byte more, so that
        // the end is found without growing.
        let mut frame = Vec::with_capacity(size + 1);
        let mut body = (&mut self.stream).take(size as u64);
        let read = body.read_to_end(&mut frame).await;
        read.map_err(|error| self.lost(&error))?;
        if frame.len() < size {
            return Err(self.lost(&io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(frame)
    }

    /// Runs a query with one value as its answer.
    pub(super) async fn atom(&mut self, term: &str) -> Result<String, EngineError> {
        self.atom_of(&[term]).await
    }

    /// As [`Self::atom`], of a term in pieces.
    pub(super) async fn atom_of(&mut self, term: &[&str]) -> Result<String, EngineError> {
        let (shape, values) = self.start_of(term).await?;
        match (shape, values.iter().next()) {
            (Shape::Atom, Some(value)) => Ok(value.to_owned()),
            _ => Err(fault::garbled(&self.server, "rows where one value was due")),
        }
    }

    /// Runs a query, and gives the first of its answer.
    pub(super) async fn start(&mut self, term: &str) -> Result<(Shape, Values), EngineError> {
        self.start_of(&[term]).await
    }

    async fn start_of(&mut self, term: &[&str]) -> Result<(Shape, Values), EngineError> {
        self.token += 1;
        let query = [&["[", START, ","], term, &[",", OPTIONS, "]"]].concat();
        self.send_query(&query).await?;
        self.receive().await
    }

    /// More of the answer, after a partial one.
    pub(super) async fn more(&mut self) -> Result<(Shape, Values), EngineError> {
        self.send_query(&[CONTINUE]).await?;
        self.receive().await
    }

    fn lost(&self, error: &io::Error) -> EngineError {
        fault::lost(&self.server, error)
    }

    fn silent(&self, time: Duration) -> EngineError {
        EngineError::Unreachable {
            server: self.server.clone(),
            problem: format!("it was silent for {} s", time.as_secs()),
        }
    }
}
