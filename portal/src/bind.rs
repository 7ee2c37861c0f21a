//! Where the portal may listen: the Admin API is never in the open without TLS or a proxy that is trusted to speak it.

use std::net::SocketAddr;

use serving::trust::TrustedProxies;

/// Whether the server ends TLS itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// A certificate is configured.
    On,
    /// Plain HTTP.
    Off,
}

/// The address is open to others and nothing protects it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "portal.listen is {0}, which others can reach: set portal.tls.cert and portal.tls.key, or trusted_proxies, or listen on 127.0.0.1"
)]
pub struct OpenBind(pub SocketAddr);

/// Whether the portal may listen on `addr`: on the loopback interface always, elsewhere with TLS or behind proxies.
///
/// # Errors
/// [`OpenBind`] with what to set.
pub fn bind_allowed(addr: SocketAddr, tls: Tls, trusted_proxies: &TrustedProxies) -> Result<(), OpenBind> {
    let is_loopback = match addr {
        SocketAddr::V4(addr) => addr.ip().is_loopback(),
        SocketAddr::V6(addr) => {
            addr.ip().is_loopback() || addr.ip().to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
    };
    if is_loopback || tls == Tls::On || !trusted_proxies.0.is_empty() {
        return Ok(());
    }
    Err(OpenBind(addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_tls_or_a_proxy() {
        let (nobody, proxy) = (
            TrustedProxies::default(),
            TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]),
        );
        for open in ["0.0.0.0:8081", "[::]:8081", "192.0.2.1:80", "[::ffff:10.0.0.1]:80"] {
            let addr = open.parse().unwrap();
            assert_eq!(bind_allowed(addr, Tls::Off, &nobody), Err(OpenBind(addr)));
            assert!(bind_allowed(addr, Tls::On, &nobody).is_ok());
            assert!(bind_allowed(addr, Tls::Off, &proxy).is_ok());
        }
        for closed in ["127.0.0.1:8081", "127.8.9.1:1", "[::1]:8081", "[::ffff:127.0.0.1]:1"] {
            assert!(
                bind_allowed(closed.parse().unwrap(), Tls::Off, &nobody).is_ok(),
                "{closed}"
            );
        }
    }
}
