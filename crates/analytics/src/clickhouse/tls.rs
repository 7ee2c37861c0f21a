//! The HTTP client, with the authorities that it trusts.

use ::clickhouse::Client;

use crate::error::Error;
use crate::settings::Settings;

/// A client without an address.
///
/// # Errors
/// When the authorities cannot be read.
pub(super) fn client(settings: &Settings) -> Result<Client, Error> {
    match &settings.tls_ca {
        None => Ok(Client::default()),
        Some(path) => trusting(path),
    }
}

fn trusting(path: &std::path::Path) -> Result<Client, Error> {
    use rustls_pki_types::pem::PemObject as _;
    let wrong = |reason: String| Error::Authorities(format!("{}: {reason}", path.display()));
    let mut roots = rustls::RootCertStore::empty();
    let certificates =
        rustls_pki_types::CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = hyper_util::client::legacy::connect::HttpConnector::new();
    tcp.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    // ClickHouse closes idle connections after three seconds.
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .pool_idle_timeout(std::time::Duration::from_secs(2))
        .build(connector);
    Ok(Client::with_http_client(http))
}
