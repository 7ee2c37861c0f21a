use proptest::prelude::*;

use super::*;

fn limits() -> HeadLimits {
    HeadLimits::from(&Limits::default())
}

/// The outcome of a first head, whatever follows it.
fn take(pieces: &[&[u8]]) -> Result<Option<String>, Fault> {
    let mut scanner = Scanner::default();
    let mut buf = BytesMut::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        if let Some(head) = take_request(&mut buf, &mut scanner, limits())? {
            return Ok(Some(format!("{head:?}")));
        }
    }
    Ok(None)
}

fn fault(text: &str) -> Option<Fault> {
    take(&[text.as_bytes()]).err()
}

#[test]
fn a_plain_request_is_read_with_its_fields() {
    let mut buf = BytesMut::from("\r\nGET /x?y HTTP/1.1\r\nHost: h:1\r\nX-A:  b c \r\n\r\nrest");
    let head = take_request(&mut buf, &mut Scanner::default(), limits())
        .unwrap()
        .unwrap();
    assert_eq!(head.request.uri(), "/x?y");
    assert_eq!(head.request.headers()["x-a"], "b c");
    assert!(!head.close && !head.is_http_10 && head.framing == Framing::Empty);
    assert_eq!(&buf[..], b"rest");
}

#[test]
fn request_lines_are_exact() {
    let line = |line: &str| fault(&format!("{line}\r\nHost: h\r\n\r\n"));
    assert_eq!(line("GET / HTTP/1.1"), None);
    assert_eq!(line("GET / HTTP/1.0"), None);
    for bad in [
        "GET /",
        "GET  / HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / HTTP/1.10",
        "GET / http/1.1",
        "GET / HTTP/01.1",
        "GET / HTTP/1,1",
        "GET HTTP/1.1",
        "/ HTTP/1.1",
        "GET / / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /#f HTTP/1.1",
        "GET x HTTP/1.1",
        "CONNECT h:1 HTTP/1.1",
        "GET * HTTP/1.1",
        "",
        "GET /\rHTTP/1.1",
        "GET /\u{b}HTTP/1.1",
    ] {
        assert!(line(bad).is_some(), "{bad:?}");
    }
    assert_eq!(line(&format!("{} / HTTP/1.1", "M".repeat(33))), Some(Fault::Method));
}

#[test]
fn lines_end_in_crlf_and_nothing_else() {
    for bad in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        assert!(fault(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn field_lines_are_exact() {
    let field = |field: &str| fault(&format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"));
    for good in ["A:b", "A: b\tc", "A:", "A: \u{e9}", "!#$%&'*+-.^_`|~: 1"] {
        assert_eq!(field(good), None, "{good:?}");
    }
    for bad in [
        "A : b",
        " A: b",
        "\tA: b",
        "A",
        ": b",
        ":",
        "A\u{b}: b",
        "A b: c",
        "A\0: b",
        "A: b\0",
        "A: \u{7f}",
        "A: \u{1}",
        "(A): b",
        "A\u{a0}: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A\r\n: b",
        "\"A\": b",
        "A;: b",
    ] {
        assert!(field(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn host_is_there_once_and_agrees_with_the_target() {
    let with = |target: &str, hosts: &str| fault(&format!("GET {target} HTTP/1.1\r\n{hosts}\r\n"));
    assert_eq!(with("/", "Host: a.example:80\r\n"), None);
    assert_eq!(with("http://A.example/", "Host: a.example\r\n"), None);
    assert_eq!(with("/", ""), Some(Fault::Host));
    assert_eq!(with("http://a/", ""), Some(Fault::Host));
    assert_eq!(with("/", "Host: a\r\nHost: a\r\n"), Some(Fault::Host));
    assert_eq!(with("http://a/", "Host: b\r\n"), Some(Fault::HostMismatch));
    assert_eq!(with("http://a:80/", "Host: a\r\n"), Some(Fault::HostMismatch));
    for bad in ["", "a b", "a,b", "a/b", "u@a", "a:x", "a#", "a?", "\u{e9}", "[::1"] {
        assert_eq!(with("/", &format!("Host: {bad}\r\n")), Some(Fault::Host), "{bad}");
    }
    assert_eq!(fault("GET / HTTP/1.0\r\n\r\n"), None);
    assert_eq!(fault("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Some(Fault::Host));
    assert_eq!(fault("GET http://a/ HTTP/1.0\r\n\r\n"), Some(Fault::Host));
}

#[test]
fn chunks_are_not_part_of_http_1_0() {
    let text = "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(fault(text), Some(Fault::EncodingInHttp10));
}

#[test]
fn what_is_accepted_reads_the_same_to_a_second_parser() {
    let text = "PUT /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    assert_eq!(fault(text), None);
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(
        request.parse(text.as_bytes()),
        Ok(httparse::Status::Complete(text.len()))
    );
}

fn pieces<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_bytes_have_one_outcome_however_they_are_split(
        lines in prop::collection::vec(
            prop_oneof![
                Just("GET / HTTP/1.1".to_owned()), Just("Host: h".to_owned()), Just(String::new()),
                Just("Content-Length: 3".to_owned()), Just("Transfer-Encoding: chunked".to_owned()),
                "[ -~\t\r\n\0]{0,20}",
            ],
            0..8,
        ),
        ends in prop::collection::vec(prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")], 8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
        let text = text.as_bytes();
        let whole = take(&[text]);
        prop_assert_eq!(&whole, &take(&pieces(text, &cuts)));
        let single: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&whole, &take(&single));
    }

    #[test]
    fn random_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = take(&[&text]);
        let _ = take(&[b"GET / HTTP/1.1\r\n", &text, b"\r\n\r\n"]);
    }
}
