//! A server: how it is reached, and the questions with small answers.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::Address;
use super::answer::Shape;
use super::connection::{Connection, Transport};
use super::large::Gate;
use super::login::{self, Login};
use super::{fault, term, version};
use crate::engine::http::is_link_local;
use crate::engine::{Access, EngineError};

const CONNECT_TIME: Duration = Duration::from_secs(10);
/// The most bytes of a small answer: 100,000 tables with their names.
const SMALL: usize = 64 << 20;

/// A server, with the login to it.
pub(super) struct Client {
    address: Address,
    server: String,
    login: Login,
    tls: Option<TlsConnector>,
    gate: Gate,
}

impl Client {
    /// For the server at `url`, with the login and the certificates that are mounted.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, EngineError> {
        let address = Address::parse(url)?;
        let tls = if address.tls {
            Some(login::connector(access)?)
        } else {
            None
        };
        Ok(Self {
            server: address.server(),
            login: Login::read(access)?,
            address,
            tls,
            gate: Gate::new(),
        })
    }

    /// Host and port.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Where large rows of all connections pass.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Opens a connection and logs in.
    pub(super) async fn connect(&self) -> Result<Connection, EngineError> {
        let stream = timeout(CONNECT_TIME, self.stream())
            .await
            .unwrap_or_else(|_| {
                Err(self.unreachable(format!("no connection in {} s", CONNECT_TIME.as_secs())))
            })?;
        Connection::open(stream, &self.server, &self.login, self.gate.clone()).await
    }

    async fn stream(&self) -> Result<Box<dyn Transport>, EngineError> {
        let tcp = self.tcp().await?;
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let refuse = |problem: String| EngineError::Tls {
            server: self.server.clone(),
            problem,
        };
        let name = ServerName::try_from(self.address.host.clone())
            .map_err(|error| refuse(error.to_string()))?;
        let stream = tls
            .connect(name, tcp)
            .await
            .map_err(|error| refuse(fault::word(&error.to_string())))?;
        Ok(Box::new(stream))
    }

    async fn tcp(&self) -> Result<TcpStream, EngineError> {
        let found = tokio::net::lookup_host((self.address.host.as_str(), self.address.port))
            .await
            .map_err(|error| self.unreachable(fault::word(&error.to_string())))?;
        let mut problem = "the name leads to no address that may be spoken to".to_owned();
        for address in found.filter(|address: &SocketAddr| !is_link_local(address.ip())) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => problem = fault::word(&error.to_string()),
            }
        }
        Err(self.unreachable(problem))
    }

    fn unreachable(&self, problem: String) -> EngineError {
        EngineError::Unreachable {
            server: self.server.clone(),
            problem,
        }
    }

    /// The value that a query answers with.
    pub(super) async fn atom<T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        term: &str,
    ) -> Result<T, EngineError> {
        self.read(&connection.atom(term).await?)
    }

    /// All rows that a query answers with, of which there are few.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        term: &str,
    ) -> Result<Vec<T>, EngineError> {
        let (mut all, mut size) = (Vec::new(), 0);
        let mut answer = connection.start(term).await?;
        loop {
            let (shape, values) = answer;
            if shape == Shape::Atom {
                return Err(fault::garbled(
                    &self.server,
                    "one value where rows were due",
                ));
            }
            for value in values.iter() {
                size += value.len();
                if size > SMALL {
                    return Err(fault::garbled(&self.server, "a list that has no end"));
                }
                all.push(self.read(value)?);
            }
            if shape == Shape::End {
                break;
            }
            answer = connection.more().await?;
        }
        Ok(all)
    }

    /// Reads a value.
    pub(super) fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, EngineError> {
        serde_json::from_str(text)
            .map_err(|error| fault::garbled(&self.server, &fault::word(&error.to_string())))
    }

    /// The cluster's identity. The protocol has none, so it is the least of the ids that its servers
    /// were made with: whichever of them is asked, and by whatever name, it is the same.
    pub(super) async fn cluster_id(
        &self,
        connection: &mut Connection,
    ) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        struct Server {
            id: String,
        }
        let servers = term::pluck(&term::table("rethinkdb", "server_config"), &["id"]);
        let servers: Vec<Server> = self.all(connection, &servers).await?;
        let ids = servers.into_iter().map(|server| server.id);
        let id = ids.min().filter(|id| uuid::Uuid::parse_str(id).is_ok());
        id.ok_or_else(|| fault::garbled(&self.server, "no id in rethinkdb.server_config"))
    }

    /// Refuses a version that is not supported.
    pub(super) fn check_version(&self, version: &str) -> Result<(), EngineError> {
        if version::is_served(version) {
            return Ok(());
        }
        Err(EngineError::Version {
            server: self.server.clone(),
            version: version.to_owned(),
            problem: "the engine rethinkdb serves 2.4 and later".to_owned(),
        })
    }
}
