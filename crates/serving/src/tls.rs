//! TLS on both sides, by rustls with ring.
//!
//! The server's certificate can be replaced while connections are open; new
//! handshakes use the new one. Upstream certificates are always verified.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::service::Protocol;
use crate::stream::Stream;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not PEM, or holds no certificate or key.
    #[error("pem: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// There is no certificate in the text.
    #[error("no certificate in the pem text")]
    NoCertificate,
    /// Certificate and key do not fit, or are not supported.
    #[error("tls configuration: {0}")]
    Config(#[from] rustls::Error),
}

/// The server's certificate and settings, shared by all workers.
#[derive(Debug)]
pub struct ServerTls {
    configs: ArcSwap<Configs>,
}

/// One certificate for listeners of both kinds.
#[derive(Debug)]
struct Configs {
    /// Offers HTTP/2 and HTTP/1.1.
    both: Arc<ServerConfig>,
    /// Offers HTTP/1.1 alone.
    http1: Arc<ServerConfig>,
}

impl ServerTls {
    /// From a certificate chain and its private key, both PEM text.
    ///
    /// # Errors
    /// When either cannot be read or they do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            configs: ArcSwap::from_pointee(configs(chain, key)?),
        })
    }

    /// Replaces certificate and key for the handshakes to come.
    ///
    /// # Errors
    /// As for [`Self::from_pem`]; then the old ones stay.
    pub fn reload(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        self.configs.store(Arc::new(configs(chain, key)?));
        Ok(())
    }

    /// The settings of this moment for a server that speaks HTTP/1.1 alone: to be asked for with each connection, as
    /// the next one may be after a [`Self::reload`].
    pub fn http1_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.configs.load().http1)
    }

    /// Performs the handshake of one connection.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> io::Result<Accepted> {
        let config = Arc::clone(&self.configs.load().both);
        let stream = TlsAcceptor::from(config).accept(tcp).await?;
        let session = stream.get_ref().1;
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let server_name = session.server_name().map(Box::from);
        Ok(Accepted {
            protocol,
            server_name,
            stream: Stream::ServerTls(Box::new(stream)),
        })
    }
}

/// A connection after its handshake.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) protocol: Protocol,
    pub(crate) server_name: Option<Box<str>>,
}

fn configs(chain: &[u8], key: &[u8]) -> Result<Configs, Error> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let mut http1 = config.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Configs {
        both: Arc::new(config),
        http1: Arc::new(http1),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        Err(Error::NoCertificate)
    } else {
        Ok(certificates)
    }
}

/// TLS towards upstreams. Cheap to clone; sessions are resumed across clones.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
}

impl ClientTls {
    /// Trusts the public roots, and those in `extra_ca` (PEM) besides.
    ///
    /// # Errors
    /// When `extra_ca` cannot be read.
    pub fn new(extra_ca: Option<&[u8]>) -> Result<Self, Error> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in extra_ca.map_or_else(|| Ok(Vec::new()), certificates)? {
            roots.add(certificate)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Performs the handshake on a connected socket and verifies that the
    /// certificate is for `host`: a DNS name, or an IP address without brackets.
    ///
    /// # Errors
    /// `InvalidInput` when `host` is neither; else those of the handshake.
    pub async fn connect(&self, tcp: TcpStream, host: &str) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = self.connector.connect(name, tcp).await?;
        Ok(Stream::ClientTls(Box::new(stream)))
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}
