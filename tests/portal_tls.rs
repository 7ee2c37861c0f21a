//! The certificate of the portal is loaded again on SIGHUP: new connections get the new one, old ones go on.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use support::platform::{Platform, Settings};

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Writes a new certificate and its key, and gives the certificate.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

/// A connection after its handshake, by a client that trusts these.
fn connect(address: SocketAddr, trusted: &[CertificateDer<'static>]) -> Connection {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut connection = StreamOwned::new(session, socket);
    while connection.conn.is_handshaking() {
        connection.conn.complete_io(&mut connection.sock).unwrap();
    }
    connection
}

fn served(connection: &Connection) -> CertificateDer<'static> {
    connection
        .conn
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .clone()
        .into_owned()
}

/// Asks on a kept connection and gives the first line of the answer.
fn ask(connection: &mut Connection) -> String {
    connection
        .write_all(b"HEAD /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

/// Sends SIGHUP and waits until the log tells as often as this that the files were read.
fn hang_up(platform: &Platform, (told, times): (&str, usize)) {
    platform.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while platform.log().matches(told).count() < times {
        assert!(Instant::now() < deadline, "{}", platform.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_portal_serves_a_new_certificate_after_sighup_and_keeps_old_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let first = certificate(folder.path());
    let platform = Settings::new(&folder.path().join("data"))
        .with("TOLLGATE_PORTAL_TLS_CERT", &path("cert.pem"))
        .with("TOLLGATE_PORTAL_TLS_KEY", &path("key.pem"))
        .start();
    let mut old = connect(platform.portal(), std::slice::from_ref(&first));
    assert_eq!(served(&old), first);
    assert_eq!(ask(&mut old), "HTTP/1.1 200 OK");

    let second = certificate(folder.path());
    let both = [first.clone(), second.clone()];
    // Control: files by themselves change nothing.
    assert_eq!(served(&connect(platform.portal(), &both)), first);
    hang_up(&platform, ("certificate loaded again", 1));
    let mut new = connect(platform.portal(), &both);
    assert_eq!(served(&new), second);
    assert_eq!(
        (ask(&mut new), ask(&mut old)),
        ("HTTP/1.1 200 OK".to_owned(), "HTTP/1.1 200 OK".to_owned())
    );

    // A pair that cannot be used leaves the certificate that is served.
    std::fs::write(folder.path().join("cert.pem"), "not a certificate").unwrap();
    hang_up(&platform, ("the old certificate stays", 1));
    assert_eq!(served(&connect(platform.portal(), &both)), second);
}
