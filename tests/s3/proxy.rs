//! A network that fails, between Lifeboat and the server: a stand-in for what happens on real ones.
//!
//! The server must close each connection after its answer (versitygw's default), so that one
//! connection is one request.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It never arrives: the connection is closed.
    Cut,
    /// It is answered with this instead, and never arrives.
    Answered(String),
    /// As `Answered`, followed by a body without an end.
    Flooded(String),
    /// It arrives whole, and its answer is lost.
    AnswerLost,
    /// Its answer breaks off after so many bytes.
    AnswerCut(usize),
}

/// A refusal by S3.
pub(crate) fn refusal(status: &str, code: &str) -> Fate {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Fate::Answered(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// Requests whose first line holds all of these words meet this fate, once.
pub(crate) type Rule = (&'static [&'static str], Fate);

/// The network.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) endpoint: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts it in front of `server` (`http://host:port`).
    pub(crate) async fn start(server: &str, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            rules: Arc::new(Mutex::new(rules)),
            seen: Arc::default(),
        };
        let server = server.trim_start_matches("http://").to_owned();
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxy, server) = (serving.clone(), server.clone());
                // A broken connection is what it is for.
                tokio::spawn(async move { proxy.serve(client, &server).await.ok() });
            }
        });
        proxy
    }

    /// Rules that no request has met.
    pub(crate) fn left(&self) -> usize {
        self.rules.lock().unwrap().len()
    }

    /// Requests whose first line held all of these words.
    pub(crate) fn seen(&self, words: &[&str]) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|line| words.iter().all(|w| line.contains(w)))
            .count()
    }

    fn fate(&self, line: &str) -> Option<Fate> {
        self.seen.lock().unwrap().push(line.to_owned());
        let mut rules = self.rules.lock().unwrap();
        let met = rules
            .iter()
            .position(|(words, _)| words.iter().all(|w| line.contains(w)))?;
        Some(rules.remove(met).1)
    }

    async fn serve(&self, mut client: TcpStream, server: &str) -> std::io::Result<()> {
        let mut first = vec![0; 64 * 1024];
        let read = client.read(&mut first).await?;
        first.truncate(read);
        let text = String::from_utf8_lossy(&first);
        let fate = self.fate(text.lines().next().unwrap_or_default());
        match &fate {
            Some(Fate::Cut) => return Ok(()),
            Some(Fate::Answered(answer)) => {
                client.write_all(answer.as_bytes()).await?;
                // What the client still sends is read, lest it sees a reset before the answer.
                return drain(&mut client).await;
            }
            Some(Fate::Flooded(head)) => {
                client.write_all(head.as_bytes()).await?;
                loop {
                    client.write_all(&[b'x'; 8192]).await?;
                }
            }
            _ => {}
        }
        let server = TcpStream::connect(server).await?;
        let (mut from_server, mut to_server) = server.into_split();
        let (mut from_client, mut to_client) = client.into_split();
        to_server.write_all(&first).await?;
        let up = tokio::spawn(async move {
            tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        });
        let answered = match fate {
            Some(Fate::AnswerLost) => {
                tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await
            }
            Some(Fate::AnswerCut(bytes)) => {
                tokio::io::copy(&mut from_server.take(bytes as u64), &mut to_client).await
            }
            _ => tokio::io::copy(&mut from_server, &mut to_client).await,
        };
        up.abort();
        answered.map(|_| ())
    }
}

async fn drain(client: &mut TcpStream) -> std::io::Result<()> {
    client.shutdown().await?;
    tokio::io::copy(client, &mut tokio::io::sink())
        .await
        .map(|_| ())
}
