//! The way to ClickHouse over TLS: only an authority that is trusted lets a password travel.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/world.rs"]
mod world;

use std::sync::Arc;

use analytics::testing::{clickhouse, settings};
use analytics::{Settings, open};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use world::{Chance, batches, stored, total};

/// TLS before a port, with a certificate of its own for localhost: the port, and the certificate in PEM.
async fn tls_before(server: u16) -> (u16, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, own.cert.pem())
}

#[tokio::test]
async fn a_server_over_tls_is_used_when_its_authority_is_trusted_and_not_otherwise() {
    let Some(server) = clickhouse() else { return };
    let (port, pem) = tls_before(server.port()).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let url = format!(
        "clickhouse+https://tolly:not-shown@localhost:{port}/tls_{}",
        std::process::id()
    );
    let all = batches(&mut Chance(12), 1, 2, 100);
    let strange = open(&url, &settings()).await.unwrap();
    let error = strange.insert(&all).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("certificate") && !text.contains("not-shown"), "{text}");
    let trusting = Settings {
        tls_ca: Some(path),
        ..settings()
    };
    let analytics = open(&url, &trusting).await.unwrap();
    analytics.insert(&all).await.unwrap();
    assert_eq!(stored(&analytics).await.unwrap(), total(&all));
    let nothing = Settings {
        tls_ca: Some(directory.path().join("missing.pem")),
        ..settings()
    };
    assert!(open(&url, &nothing).await.is_err());
}
