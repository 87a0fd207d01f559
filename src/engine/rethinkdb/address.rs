//! Where a server is.

use url::{Host, Url};

use crate::engine::EngineError;
use crate::engine::http::is_link_local;

/// The port that drivers connect to.
const DRIVER_PORT: u16 = 28015;

/// Host and port of a server, and whether TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or a number; IPv6 without brackets.
    pub(super) host: String,
    /// The driver port.
    pub(super) port: u16,
    /// Whether TLS is spoken.
    pub(super) tls: bool,
}

impl Address {
    /// Reads `rethinkdb://host:28015` or `rethinkdbs://host:28015`.
    pub(super) fn parse(text: &str) -> Result<Self, EngineError> {
        let refuse = |problem: &str| EngineError::NotSupported {
            problem: format!("the url {problem}; write it as rethinkdb://host:28015"),
        };
        let url = Url::parse(text).map_err(|_| refuse("can't be read"))?;
        let tls = match url.scheme() {
            "rethinkdb" => false,
            "rethinkdbs" => true,
            _ => return Err(refuse("has another scheme than rethinkdb or rethinkdbs")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("holds a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() || url.path().len() > 1 {
            return Err(refuse("holds more than a host and a port"));
        }
        // A scheme that URLs don't know leaves numbers in the host as they are written.
        let text = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let host = Host::parse(&text).map_err(|_| refuse("names no host"))?;
        let (host, address) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_owned(), None),
            Host::Ipv4(v4) => (v4.to_string(), Some(v4.into())),
            Host::Ipv6(v6) => (v6.to_string(), Some(v6.into())),
        };
        if host.is_empty() {
            return Err(refuse("names no host"));
        }
        if address.is_some_and(is_link_local) {
            return Err(refuse("names a link-local address, which is refused"));
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(DRIVER_PORT),
            tls,
        })
    }

    /// Host and port, for people.
    pub(super) fn server(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, want) in [
            ("rethinkdb://a:1", Some(("a:1", false))),
            ("rethinkdbs://A.B.:28016/", Some(("a.b:28016", true))),
            ("rethinkdb://h", Some(("h:28015", false))),
            ("rethinkdb://[::1]:2", Some(("[::1]:2", false))),
            ("rethinkdb://10.0.0.7:2", Some(("10.0.0.7:2", false))),
            ("rethinkdb://169.254.169.254:80", None),
            ("rethinkdb://2852039166:80", None),
            ("rethinkdb://[fe80::1]:80", None),
            ("rethinkdb://[::ffff:169.254.169.254]:80", None),
            ("rethinkdb://u:p@h:1", None),
            ("rethinkdb://h:1/db", None),
            ("rethinkdb://h:1?x", None),
            ("http://h:1", None),
            ("rethinkdb:h", None),
            ("", None),
        ] {
            let found = Address::parse(text).ok();
            let found = found.map(|found| (found.server(), found.tls));
            assert_eq!(
                found,
                want.map(|(server, tls)| (server.to_owned(), tls)),
                "{text}"
            );
        }
    }
}
