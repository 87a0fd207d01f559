//! Where a backup service is.

use std::fmt;

use url::{Host, Url};

use crate::engine::EngineError;
use crate::engine::http::is_link_local;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or a number; IPv6 without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

impl Address {
    /// Reads `influxdb:8088`.
    pub(super) fn parse(address: &str) -> Result<Self, EngineError> {
        let refuse = |problem: &str| EngineError::NotSupported {
            problem: format!(
                "backupAddress {problem}; write it as host and port, such as influxdb:8088"
            ),
        };
        let url = Url::parse(&format!("tcp://{address}")).map_err(|_| refuse("can't be read"))?;
        let plain = url.path().is_empty()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let Some(port) = url.port().filter(|_| plain) else {
            return Err(refuse("is more or less than that"));
        };
        // A scheme that URLs don't know leaves numbers in the host as they are written.
        let text = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let host = Host::parse(&text).map_err(|_| refuse("names no host"))?;
        let (host, number) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_owned(), None),
            Host::Ipv4(v4) => (v4.to_string(), Some(v4.into())),
            Host::Ipv6(v6) => (v6.to_string(), Some(v6.into())),
        };
        if number.is_some_and(is_link_local) {
            return Err(refuse("names a link-local address, which is refused"));
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, want) in [
            ("influxdb:8088", Some("influxdb:8088")),
            ("InfluxDB.iot.svc.:8088", Some("influxdb.iot.svc:8088")),
            ("[::1]:8088", Some("[::1]:8088")),
            ("10.0.0.7:1", Some("10.0.0.7:1")),
            ("influxdb", None),
            ("u:p@influxdb:8088", None),
            ("influxdb:8088/x", None),
            ("influxdb:8088?x", None),
            ("169.254.169.254:80", None),
            ("2852039166:80", None),
            ("[fe80::1]:80", None),
            ("", None),
        ] {
            let found = Address::parse(text).ok().map(|found| found.to_string());
            assert_eq!(found.as_deref(), want, "{text}");
        }
    }
}
