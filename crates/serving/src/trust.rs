//! Whose word about the client's address is believed.
//!
//! Without trusted proxies the client is the other end of the socket, whatever headers say. With them
//! `X-Forwarded-For` is walked from its right end to the first address that is no trusted proxy. `Forwarded`,
//! `X-Real-IP` and the like are never read.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

/// A block of addresses such as `10.0.0.0/8`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: u128,
    mask: u128,
    v4: bool,
}

/// The text is not a block of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address or block of addresses such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct ParseCidrError;

fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| ParseCidrError)?)),
            None => (text, None),
        };
        let (address, v4) = bits(address.parse::<IpAddr>().map_err(|_| ParseCidrError)?);
        let width: u32 = if v4 { 32 } else { 128 };
        let free = width.checked_sub(length.unwrap_or(width)).ok_or(ParseCidrError)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Ok(Self {
            address: address & mask,
            mask,
            v4,
        })
    }
}

impl Cidr {
    fn contains(&self, address: IpAddr) -> bool {
        let (address, v4) = bits(address);
        v4 == self.v4 && address & self.mask == self.address
    }
}

/// The proxies in front of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<Cidr>);

/// What is known of where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub client: IpAddr,
    /// The verified proxies between the client and the socket, nearest to the client first.
    pub proxies: Vec<IpAddr>,
    /// The other end of the socket is a trusted proxy.
    pub proxied: bool,
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(address))
    }

    /// Finds the client of a request that came over a socket from `peer`.
    pub fn origin(&self, peer: SocketAddr, headers: &HeaderMap) -> Origin {
        let mut client = plain(peer.ip());
        let from_proxy = self.trusts(client);
        let mut proxies = Vec::new();
        if from_proxy {
            let values = headers.get_all("x-forwarded-for");
            let hops = values
                .iter()
                .rev()
                .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
            for hop in hops {
                // What cannot be read ends what is known.
                let Some(hop) = parse_hop(hop) else { break };
                proxies.push(client);
                client = hop;
                if !self.trusts(hop) {
                    break;
                }
            }
            proxies.reverse();
        }
        Origin {
            client,
            proxies,
            proxied: from_proxy,
        }
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| {
            text.trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<Ipv6Addr>()
                .map(IpAddr::V6)
        });
    address.ok().map(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let origin = proxies.origin(SocketAddr::new(peer.parse().unwrap(), 4711), &headers);
        origin.client.to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(origin(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(origin(&[], "::ffff:203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn the_walk_goes_from_the_right_to_the_first_untrusted_hop() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(
            origin(&trusted, "10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.2.3.4"]),
            "198.51.100.7"
        );
        assert_eq!(
            origin(&trusted, "10.0.0.1", &["1.1.1.1", "198.51.100.7:443"]),
            "198.51.100.7"
        );
        assert_eq!(origin(&trusted, "2001:db8::1", &["[2a00::5]:80"]), "2a00::5");
        assert_eq!(origin(&trusted, "10.0.0.1", &["10.9.9.9"]), "10.9.9.9");
        assert_eq!(origin(&trusted, "10.0.0.1", &["1.1.1.1, junk"]), "10.0.0.1");
        assert_eq!(origin(&trusted, "203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
    }

    #[test]
    fn only_blocks_are_blocks() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/129", "a/8"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
        assert!("::/0".parse::<Cidr>().unwrap().contains("::1".parse().unwrap()));
    }
}
