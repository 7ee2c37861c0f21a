//! Lines, names, values, targets and hosts.

use super::{Case, SMUGGLED, Then};

const GARDEN: &str = "HTTP Garden, list of findings";
const KETTLE: &str = "PortSwigger, HTTP desync attacks and HTTP Request Smuggler";
const KLEIN: &str = "Klein, HTTP request smuggling in 2020";
const RFC: &str = "RFC 9112";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, source, head) in HEADS {
        cases.push(Case::refused(
            format!("head: {name}"),
            source,
            format!("{head}\r\n{SMUGGLED}"),
        ));
    }
    for (name, source, field) in FIELDS {
        let wire = [
            b"GET /a HTTP/1.1\r\nHost: h\r\n",
            *field,
            b"\r\n\r\n",
            SMUGGLED.as_bytes(),
        ]
        .concat();
        cases.push(Case::refused(format!("field: {name}"), source, wire));
    }
    cases.extend(sequences());
    cases
}

/// Everything up to, but not including, the empty line.
const HEADS: &[(&str, &str, &str)] = &[
    ("http/0.9", GARDEN, "GET /a\r\n"),
    ("no version", GARDEN, "GET /a \r\nHost: h\r\n"),
    ("version 1.32", GARDEN, "GET /a HTTP/1.32\r\nHost: h\r\n"),
    ("version 1.2", RFC, "GET /a HTTP/1.2\r\nHost: h\r\n"),
    ("version 2.0", RFC, "GET /a HTTP/2.0\r\nHost: h\r\n"),
    ("version overflows", GARDEN, "GET /a HTTP/4294967295.255\r\nHost: h\r\n"),
    (
        "version of dots",
        GARDEN,
        "GET /a HTTP/............0596.7407.\r\nHost: h\r\n",
    ),
    (
        "version after carriage returns",
        GARDEN,
        "GET /a HTTP/\r\r1.1\r\nHost: h\r\n",
    ),
    ("version in lower case", RFC, "GET /a http/1.1\r\nHost: h\r\n"),
    ("line feed as space", GARDEN, "GET /a\nHTTP/1.1\r\nHost: h\r\n"),
    ("carriage return as space", GARDEN, "GET /a\rHTTP/1.1\r\nHost: h\r\n"),
    ("tab as space", GARDEN, "GET\t/a\tHTTP/1.1\r\nHost: h\r\n"),
    ("two spaces", RFC, "GET  /a HTTP/1.1\r\nHost: h\r\n"),
    ("space before the method", RFC, " GET /a HTTP/1.1\r\nHost: h\r\n"),
    ("space after the version", RFC, "GET /a HTTP/1.1 \r\nHost: h\r\n"),
    (
        "space in the target",
        KLEIN,
        "GET /a HTTP/1.1 /b HTTP/1.1\r\nHost: h\r\n",
    ),
    (
        "method is a prefix of junk",
        GARDEN,
        "G=\":<>(e),[T];?\" /a HTTP/1.1\r\nHost: h\r\n",
    ),
    ("method is NUL", GARDEN, "\0 /a HTTP/1.1\r\nHost: h\r\n"),
    ("target without slash", GARDEN, "GET ! HTTP/1.1\r\nHost: h\r\n"),
    (
        "target with fragment",
        "CVE-2023-45539, CVE-2021-32779",
        "GET /a#b HTTP/1.1\r\nHost: h\r\n",
    ),
    ("target with userinfo", KETTLE, "GET @evil/ HTTP/1.1\r\nHost: h\r\n"),
    ("target with NUL", GARDEN, "GET /a\0b HTTP/1.1\r\nHost: h\r\n"),
    ("target not ascii", GARDEN, "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n"),
    ("connect", RFC, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n"),
    ("connect with a path", RFC, "CONNECT / HTTP/1.1\r\nHost: h\r\n"),
    ("asterisk with GET", RFC, "GET * HTTP/1.1\r\nHost: h\r\n"),
    ("authority-form", RFC, "GET h:80 HTTP/1.1\r\nHost: h\r\n"),
    (
        "absolute-form of another host",
        KETTLE,
        "GET http://evil/ HTTP/1.1\r\nHost: h\r\n",
    ),
    (
        "absolute-form with userinfo",
        KETTLE,
        "GET http://h@evil/ HTTP/1.1\r\nHost: h\r\n",
    ),
    ("absolute-form without host", RFC, "GET http://h/ HTTP/1.1\r\n"),
    ("no host", RFC, "GET /a HTTP/1.1\r\n"),
    ("two hosts", RFC, "GET /a HTTP/1.1\r\nHost: h\r\nHost: evil\r\n"),
    ("the same host twice", RFC, "GET /a HTTP/1.1\r\nHost: h\r\nhost: h\r\n"),
    ("host with NUL", GARDEN, "GET /a HTTP/1.1\r\nHost: h\0.evil\r\n"),
    ("host with slash", KETTLE, "GET /a HTTP/1.1\r\nHost: foo/bar\r\n"),
    ("host with userinfo", KETTLE, "GET /a HTTP/1.1\r\nHost: h@evil\r\n"),
    ("host with comma", RFC, "GET /a HTTP/1.1\r\nHost: h, evil\r\n"),
    ("host empty", RFC, "GET /a HTTP/1.1\r\nHost:\r\n"),
    ("host with a word for port", RFC, "GET /a HTTP/1.1\r\nHost: h:x\r\n"),
    ("host folded", KETTLE, "GET /a HTTP/1.1\r\nHost:\r\n h\r\n"),
    (
        "first field begins with space",
        GARDEN,
        "GET /a HTTP/1.1\r\n Host: h\r\n",
    ),
    (
        "first field begins with tab",
        GARDEN,
        "GET /a HTTP/1.1\r\n\tHost: h\r\n",
    ),
    ("lines end in line feed", GARDEN, "GET /a HTTP/1.1\nHost: h\n"),
    ("one line ends in line feed", GARDEN, "GET /a HTTP/1.1\r\nHost: h\n"),
    (
        "head ends in CR and any byte",
        GARDEN,
        "GET /a HTTP/1.1\r\nHost: h\r\n\rZGET /evil: HTTP/1.1\r\n",
    ),
];

/// One field line beside a valid `Host`.
const FIELDS: &[(&str, &str, &[u8])] = &[
    ("empty name", "CVE-2023-25725", b": x"),
    ("empty name and value", GARDEN, b":"),
    ("no colon", GARDEN, b"Te st"),
    ("name and value by space alone", GARDEN, b"Content-Length 10"),
    ("space before the colon", GARDEN, b"Content-Length : 34"),
    ("tab before the colon", KETTLE, b"Transfer-Encoding\t: chunked"),
    ("name with NUL", GARDEN, b"a\0b: c"),
    ("name with carriage return", KETTLE, b"Transfer\r-Encoding: chunked"),
    ("name with 0x85", GARDEN, b"Content-Length\x85: 10"),
    ("name with 0xa0", GARDEN, b"Content-Length\xa0: 10"),
    ("name with soft hyphen", KETTLE, b"Transfer\xadEncoding: chunked"),
    ("name begins with 0xef", GARDEN, b"\xefoo: bar"),
    ("name over two lines", GARDEN, b"Transfer-\r\nEncoding: chunked"),
    ("name with backslash", KLEIN, b"Content\\Length: 10"),
    ("name with junk before the colon", KLEIN, b"Content-Length abcde: 20"),
    ("name percent-encoded quote", KETTLE, b"Transfer-Encoding\": chunked"),
    ("name with slash", KETTLE, b"Content/Length: 1"),
    ("value with NUL and carriage return", GARDEN, b"Header: v\0\ralue"),
    ("value with carriage return", GARDEN, b"Header: va\rlue"),
    (
        "value hides a field behind a carriage return",
        GARDEN,
        b"Visible: :/\rSmuggled: :)",
    ),
    ("value ends in NUL", GARDEN, b"Evil: evil\0"),
    ("value hides bytes behind NUL", GARDEN, b"Test: test\0DROPPED"),
    (
        "value hides a field behind a line feed",
        KETTLE,
        b"X: x\nTransfer-Encoding: chunked",
    ),
    (
        "value hides a request behind line feeds",
        GARDEN,
        b"Useless:\n\nGET /smuggled HTTP/1.1\r\nHost: h",
    ),
    ("value with delete", RFC, b"A: \x7f"),
    ("value with escape", RFC, b"A: \x1b[0m"),
    ("value folded", RFC, b"A: b\r\n c"),
    ("value folded by tab", RFC, b"A: b\r\n\tc"),
    ("value folded by a line of space", KETTLE, b"A: b\r\n \r\nC: d"),
    ("CR LF CR", KETTLE, b"Foo: bar\r\n\rTransfer-Encoding: chunked"),
    ("connection names the length", KETTLE, b"Connection: Content-Length"),
    (
        "connection names the host",
        "CVE-2024-45410",
        b"Connection: close, Host",
    ),
    (
        "connection names the credential",
        "CVE-2022-1388",
        b"Connection: keep-alive, Authorization",
    ),
    ("connection is not a list of names", RFC, b"Connection: close x"),
    (
        "expect with junk",
        "Kettle, HTTP/1.1 must die (2025)",
        b"Expect: y 100-continue",
    ),
    (
        "expect twice",
        "Kettle, HTTP/1.1 must die (2025)",
        b"Expect: 100-continue\r\nExpect: 100-continue",
    ),
    ("expect something else", RFC, b"Expect: 200-ok"),
    ("folded name of a length", KETTLE, b"Content_Length: 5"),
    ("dotted name of an encoding", KETTLE, b"Transfer.Encoding: chunked"),
];

/// What follows, or precedes, a valid request on its connection.
fn sequences() -> Vec<Case> {
    let valid = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let case = |name: &str, wire: String| Case::refused(format!("sequence: {name}"), RFC, wire);
    vec![
        case("two empty lines first", format!("\r\n\r\n{valid}")),
        case("line feed first", format!("\n{valid}")),
        case("garbage first", format!("x\r\n{valid}")),
        case("one empty line first", format!("\r\n{valid}"))
            .reaching("/a", b"")
            .then(Then::Open),
        case("two empty lines between", format!("{valid}\r\n\r\n{valid}")).reaching("/a", b""),
        case("NUL between", format!("{valid}\0{valid}")).reaching("/a", b""),
        case("garbage after", format!("{valid}Invalid\r\n\r\n")).reaching("/a", b""),
        case("half a request after", format!("{valid}GET /b HTTP/1.1\r\nHo"))
            .reaching("/a", b"")
            .then(Then::Waits),
        case(
            "request after close",
            format!("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n{SMUGGLED}"),
        )
        .reaching("/a", b""),
        case("request after HTTP/1.0", format!("GET /a HTTP/1.0\r\n\r\n{SMUGGLED}")).reaching("/a", b""),
        // CVE-2026-2833: what follows Upgrade is a request like any other, or nothing.
        case(
            "bytes after an upgrade are a request of their own",
            format!("GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{valid}"),
        )
        .reaching("/a", b"")
        .reaching("/a", b"")
        .then(Then::Open),
        case("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ]
}
