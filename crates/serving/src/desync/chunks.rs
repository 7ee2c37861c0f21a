//! Chunked bodies: sizes, extensions, line ends, trailers.

use super::{Case, SMUGGLED, Then};

const GARDEN: &str = "HTTP Garden, list of findings";
const FUNKY: &str = "w4ke, Funky chunks (2025)";

pub(super) fn cases() -> Vec<Case> {
    let head = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wire = |body: &[u8]| [head.as_bytes(), body, SMUGGLED.as_bytes()].concat();
    let mut cases: Vec<Case> = BODIES
        .iter()
        .map(|(name, source, body)| Case::refused(format!("chunks: {name}"), source, wire(body)))
        .collect();
    let many = format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(100);
    cases.push(Case::refused(
        "chunks: extensions without end",
        "Envoy, Go and others 2023",
        wire(many.as_bytes()),
    ));
    let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(2000));
    cases.push(Case::refused(
        "chunks: a long extension",
        "CVE-2023-39326",
        wire(long.as_bytes()),
    ));
    for (name, body, decoded) in VALID {
        let case = Case::refused(format!("chunks: {name}"), "RFC 9112", wire(body));
        cases.push(case.reaching("/a", decoded).reaching("/smuggled", b"").then(Then::Open));
    }
    let unfinished = Case::refused(
        "chunks: no end",
        "RFC 9112",
        [head.as_bytes(), b"3\r\nabc\r\n"].concat(),
    );
    cases.push(unfinished.then(Then::Waits));
    cases
}

/// A smuggled request follows each of them.
const BODIES: &[(&str, &str, &[u8])] = &[
    ("size with underscore", GARDEN, b"0_2e\r\n\r\n"),
    ("size with plus", GARDEN, b"+0\r\n\r\n"),
    ("size with minus", GARDEN, b"-1\r\n\r\n"),
    ("size with 0x", GARDEN, b"0x0\r\n\r\n"),
    ("size with minus and 0x", GARDEN, b"-0x0\r\n\r\n"),
    ("size empty", GARDEN, b"\r\n\r\n"),
    ("size begins with spaces", GARDEN, b"           0\r\n\r\n"),
    ("size ends in space", FUNKY, b"0 \r\n\r\n"),
    ("size ends in tab", FUNKY, b"0\t\r\n\r\n"),
    (
        "size is its longest valid prefix",
        GARDEN,
        b"1these-bytes-never-get-validated\r\nZ\r\n0\r\n\r\n",
    ),
    ("size is no number", GARDEN, b"Z\r\nZZ\r\nZZZ\r\n\r\n"),
    ("size is a word", GARDEN, b"INVALID!!!\r\n"),
    (
        "size overflows 64 bits",
        "CVE-2021-32714",
        b"f0000000000000003\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "size wraps to zero",
        "CVE-2013-2028 and others",
        b"10000000000000000\r\n\r\n",
    ),
    (
        "size negative in 64 bits",
        "CVE-2013-2028 and others",
        b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    ),
    ("size list", FUNKY, b"1,2\r\nZ\r\n0\r\n\r\n"),
    ("size with NUL", GARDEN, b"0\0\r\n\r\n"),
    ("size line ends in line feed", GARDEN, b"0\n\r\n"),
    (
        "size line ends in CR and a byte",
        GARDEN,
        b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
    ),
    ("size line ends in carriage return", FUNKY, b"2\rxx\r\n0\r\n\r\n"),
    ("extension with line feed", "CVE-2025-55315", b"2;\nxx\r\n0\r\n\r\n"),
    ("extension with carriage return", FUNKY, b"2;\rxx\r\n0\r\n\r\n"),
    ("extension with CR and a byte", FUNKY, b"2;\rXxx\r\n0\r\n\r\n"),
    (
        "extension with two carriage returns",
        GARDEN,
        b"41;a=b\r\rXXXX\r\n0\r\n\r\n",
    ),
    (
        "carriage return before the extension",
        GARDEN,
        b"2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n",
    ),
    ("extension with NUL", GARDEN, b"2;a\0\r\nxx\r\n0\r\n\r\n"),
    ("extension quoted over lines", FUNKY, b"2;a=\"\nxx\r\n0\r\n\r\n\"\r\n"),
    ("space before the extension", FUNKY, b"2 ;a\r\nxx\r\n0\r\n\r\n"),
    ("data ends in line feed", GARDEN, b"a\r\n0123456789\n0\r\n\r\n"),
    ("data ends in carriage return", FUNKY, b"2\r\nxx\r0\r\n\r\n"),
    ("data ends in two other bytes", FUNKY, b"5\r\nAAAAAXX0\r\n\r\n"),
    ("data ends in nothing", FUNKY, b"2\r\nxx0\r\n\r\n"),
    ("data is longer than its size", FUNKY, b"2\r\nxxx\r\n0\r\n\r\n"),
    ("an empty line more between chunks", GARDEN, b"1\r\nZ\r\n\r\n0\r\n\r\n"),
    ("last chunk ends in line feed", GARDEN, b"0\r\n\n"),
    (
        "last chunk is followed by any bytes",
        GARDEN,
        b"0\r\nX:POST / HTTP/1.1\rx\r\n",
    ),
    (
        "trailer is a request line",
        "TERM.EXT and others",
        b"0\r\nGET /evil HTTP/1.1\r\n\r\n",
    ),
    ("trailer with length", "RFC 9110", b"0\r\nContent-Length: 44\r\n\r\n"),
    (
        "trailer with encoding",
        "RFC 9110",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("trailer with host", "RFC 9110", b"0\r\nHost: evil\r\n\r\n"),
    (
        "trailer with credentials",
        "RFC 9110",
        b"0\r\nAuthorization: Bearer x\r\n\r\n",
    ),
    ("trailer with space before the colon", GARDEN, b"0\r\nA : b\r\n\r\n"),
    ("trailer without name", GARDEN, b"0\r\n: b\r\n\r\n"),
    ("trailer folded", GARDEN, b"0\r\nA: b\r\n c\r\n\r\n"),
    ("trailer with NUL", GARDEN, b"0\r\nA: b\0\r\n\r\n"),
];

/// Name, bytes, what they decode to; a request follows and is a request.
const VALID: &[(&str, &[u8], &[u8])] = &[
    ("nothing", b"0\r\n\r\n", b""),
    ("leading zeros", b"001\r\nZ\r\n000\r\n\r\n", b"Z"),
    (
        "letters in both cases",
        b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"01234567890123456789",
    ),
    ("extensions are dropped", b"1;a=b;c=\"d e\"\r\nZ\r\n0;x\r\n\r\n", b"Z"),
    ("trailers are dropped", b"1\r\nZ\r\n0\r\nX-Checksum: 1\r\n\r\n", b"Z"),
    (
        "a request as data is data",
        b"14\r\nGET /evil HTTP/1.1\r\n\r\n0\r\n\r\n",
        b"GET /evil HTTP/1.1\r\n",
    ),
];
