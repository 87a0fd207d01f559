//! Which addresses may be spoken to.
//!
//! A spec names any host, and the job pod runs where it is told to: link-local addresses, where
//! clouds serve machine credentials, are never a database and are refused, by name or by number.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address is link-local: 169.254.0.0/16 or fe80::/10, also when it is written as IPv6.
pub(in crate::engine) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || embedded(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

fn embedded(v6: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    v6.to_ipv4_mapped().or_else(|| v6.to_ipv4())
}

/// Resolves names by the system's resolver, without link-local addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| !is_link_local(address.ip()))
                .collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err("the name leads to a link-local address, which is refused".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn link_local() {
        for (text, want) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("fe80::1", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_link_local(text.parse().unwrap()), want, "{text}");
        }
    }
}
