//! HTTP/2 on its way to HTTP/1.1: what would mean something else there never gets there. Frames are written by hand, so
//! that no client library mends them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::world::World;

type Fields<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A platform whose gateway speaks TLS, and its certificate.
fn world() -> (World, CertificateDer<'static>) {
    let files = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let set = |settings: crate::support::platform::Settings| {
        settings
            .with("TOLLGATE_GATEWAY_TLS_CERT", cert.to_str().unwrap())
            .with("TOLLGATE_GATEWAY_TLS_KEY", key.to_str().unwrap())
    };
    let world = World::set_up(set, &json!([{ "requests": 1_000_000, "per": "minute" }]));
    let certificate = made.cert.der().clone();
    let served = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        H2::connect(&world, &certificate).request(&with(b"GET", b"/ready", &[]), &[]) == "200"
    });
    assert!(served, "the configuration is not served");
    world.upstream.new_requests();
    (world, certificate)
}

struct H2(StreamOwned<ClientConnection, TcpStream>);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as HPACK literals without indexing and without Huffman coding.
fn block(fields: &Fields<'_>) -> Vec<u8> {
    let text = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
    fields
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect()
}

impl H2 {
    fn connect(world: &World, certificate: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(world.platform.gateway()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp.set_nodelay(true).unwrap();
        let tls = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut h2 = Self(StreamOwned::new(tls, tcp));
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, b"")].concat();
        h2.0.write_all(&hello).unwrap();
        assert_eq!(h2.0.conn.alpn_protocol(), Some(&b"h2"[..]));
        h2
    }

    fn frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], payload))
    }

    /// Sends one request and tells what became of it: `200`, `refused` (another status), `reset`, `goaway` or `closed`.
    fn request(&mut self, fields: &Fields<'_>, body: &[&[u8]]) -> &'static str {
        let end = u8::from(body.is_empty());
        let mut bytes = frame(1, 4 | end, 1, &block(fields));
        for (at, piece) in body.iter().enumerate() {
            bytes.extend(frame(0, u8::from(at + 1 == body.len()), 1, piece));
        }
        if self.0.write_all(&bytes).and_then(|()| self.0.flush()).is_err() {
            return "closed";
        }
        loop {
            match self.frame() {
                // 0x88 is the indexed field `:status: 200`; a change of the table's size may stand before it.
                Some((1, _, payload)) => {
                    return if payload.iter().take(4).any(|byte| *byte == 0x88) {
                        "200"
                    } else {
                        "refused"
                    };
                }
                Some((3, ..)) => return "reset",
                Some((7, ..)) => return "goaway",
                Some(_) => {}
                None => return "closed",
            }
        }
    }
}

fn with<'a>(method: &'a [u8], path: &'a [u8], more: &[(&'a [u8], &'a [u8])]) -> Fields<'a> {
    let mut fields: Fields<'a> = vec![
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"h"),
        (b":path", path),
    ];
    fields.extend(more);
    fields
}

#[test]
fn plain_requests_over_http_2_arrive_as_they_are() {
    let (world, certificate) = world();
    assert_eq!(
        H2::connect(&world, &certificate).request(&with(b"GET", b"/x", &[(b"accept", b"*/*")]), &[]),
        "200"
    );
    let body: [&[u8]; 2] = [b"GET /smuggled HTTP/1.1\r\n", b"Host: h\r\n\r\n"];
    assert_eq!(
        H2::connect(&world, &certificate).request(&with(b"POST", b"/x", &[]), &body),
        "200"
    );
    assert_eq!(
        H2::connect(&world, &certificate).request(&with(b"POST", b"/x", &[(b"content-length", b"35")]), &body),
        "200"
    );
    let seen = world.upstream.new_requests();
    assert_eq!(seen.len(), 3);
    assert_eq!(
        (seen[1].body.as_slice(), &seen[1].body),
        (body.concat().as_slice(), &seen[2].body)
    );
    assert_eq!(seen[0].values("x-forwarded-proto"), ["https"]);
}

/// Fields that no request may carry.
const BAD: &[(&[u8], &[u8])] = &[
    (b"x", b"x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
    (b"x", b"a\nb: c"),
    (b"x", b"a\rb"),
    (b"x", b"a\0b"),
    (b"x\r\ny", b"a"),
    (b"x\ny", b"a"),
    (b"x y", b"a"),
    (b"x:y", b"a"),
    (b"x\0", b"a"),
    (b"", b"a"),
    (b"X-Upper", b"a"),
    (b"transfer-encoding", b"chunked"),
    (b"transfer-encoding", b"identity"),
    (b"connection", b"keep-alive"),
    (b"connection", b"x-consumer-id"),
    (b"keep-alive", b"timeout=5"),
    (b"proxy-connection", b"close"),
    (b"upgrade", b"h2c"),
    (b"te", b"chunked"),
    (b"host", b"other.example"),
    (b"content-length", b"5"),
    (b"content-length", b"-1"),
    (b"content-length", b"0x0"),
    (b"content-length", b"+0"),
    (b":path", b"/other"),
    (b":unknown", b"x"),
    (b":status", b"200"),
];

#[test]
fn what_http_1_would_read_in_another_way_never_arrives() {
    let (world, certificate) = world();
    let mut cases: Vec<(Fields<'_>, Vec<&[u8]>)> = BAD
        .iter()
        .map(|field| (with(b"GET", b"/bad", &[*field]), vec![]))
        .collect();
    for path in [
        &b"bad"[..],
        b"",
        b"*",
        b"/bad\r\nx: y",
        b"/bad HTTP/1.1\r\nx: y",
        b"/bad\0",
        b"http://h/bad",
        b"/bad\tx",
    ] {
        cases.push((with(b"GET", path, &[]), vec![]));
    }
    for method in [&b"GET /bad HTTP/1.1\r\nx:"[..], b"", b"G T", b"CONNECT"] {
        cases.push((with(method, b"/bad", &[]), vec![]));
    }
    cases.push((with(b"POST", b"/bad", &[(b"content-length", b"3")]), vec![b"abcdef"]));
    cases.push((with(b"POST", b"/bad", &[(b"content-length", b"9")]), vec![b"abc"]));
    cases.push((
        with(
            b"POST",
            b"/bad",
            &[(b"content-length", b"3"), (b"content-length", b"4")],
        ),
        vec![b"abc"],
    ));
    for authority in [&b"h\r\nx: y"[..], b"u@h", b"h/bad", b"h, other"] {
        cases.push((
            vec![
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", authority),
                (b":path", b"/bad"),
            ],
            vec![],
        ));
    }
    for (fields, body) in &cases {
        let outcome = H2::connect(&world, &certificate).request(fields, body);
        let shown: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        assert_ne!(outcome, "200", "{shown:?}");
        assert_ne!(outcome, "closed", "{shown:?}");
        let seen = world.upstream.new_requests();
        assert!(seen.is_empty(), "{shown:?}: {seen:?}");
    }
    let raw = world.upstream.raw();
    assert!(!raw.windows(9).any(|window| window == b"/smuggled"));
}

#[test]
fn a_fragment_is_cut_off_before_anybody_looks_at_the_path() {
    let (world, certificate) = world();
    assert_eq!(
        H2::connect(&world, &certificate).request(&with(b"GET", b"/vault#x", &[]), &[]),
        "refused"
    );
    H2::connect(&world, &certificate).request(&with(b"GET", b"/x#/../vault", &[]), &[]);
    let seen = world.upstream.new_requests();
    assert!(seen.iter().all(|seen| seen.target == "/x"), "{seen:?}");
}

#[test]
fn identity_cannot_be_spoken_over_http_2_either() {
    let (world, certificate) = world();
    for name in [
        &b"x-consumer-id"[..],
        b"x_consumer_id",
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"x-real-ip",
        b"forwarded",
        b"x-gateway-secret",
        b"x-plan",
    ] {
        assert_eq!(
            H2::connect(&world, &certificate).request(&with(b"GET", b"/x", &[(name, b"spoofed")]), &[]),
            "200"
        );
        let seen = world.upstream.new_requests();
        assert!(
            seen.iter()
                .all(|seen| seen.headers.iter().all(|(_, value)| value != "spoofed")),
            "{seen:?}"
        );
        assert_eq!(
            H2::connect(&world, &certificate).request(&with(b"GET", b"/vault/x", &[(name, b"spoofed")]), &[]),
            "refused"
        );
    }
    assert!(world.upstream.new_requests().is_empty());
}
