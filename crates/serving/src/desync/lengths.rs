//! `Content-Length` and `Transfer-Encoding`: values, repetitions, both.

use super::{Case, SMUGGLED, Then};

const GARDEN: &str = "HTTP Garden, list of findings";
const KETTLE: &str = "PortSwigger, HTTP desync attacks and HTTP Request Smuggler";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, source, value) in LENGTHS {
        let head = [b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:", *value, b"\r\n\r\n"].concat();
        let wire = [&head, SMUGGLED.as_bytes()].concat();
        cases.push(Case::refused(format!("length: {name}"), source, wire));
    }
    for (name, source, value) in ENCODINGS {
        let head = [b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:", *value, b"\r\n"].concat();
        let chunks = [b"\r\n0\r\n\r\n", SMUGGLED.as_bytes()].concat();
        cases.push(Case::refused(
            format!("encoding: {name}"),
            source,
            [&head[..], &chunks].concat(),
        ));
        let both = [&head[..], b"Content-Length: 5\r\n", &chunks].concat();
        cases.push(Case::refused(format!("encoding beside a length: {name}"), source, both));
    }
    for (name, source, fields, body) in PAIRS {
        let wire = format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}{SMUGGLED}");
        cases.push(Case::refused(format!("pair: {name}"), source, wire));
    }
    cases.extend(valid());
    cases
}

const LENGTHS: &[(&str, &str, &[u8])] = &[
    ("empty", "CVE-2023-40225", b""),
    ("only a space", GARDEN, b" "),
    ("plus", GARDEN, b" +34"),
    ("minus", GARDEN, b" -48"),
    ("underscore", GARDEN, b" +1_0"),
    ("hexadecimal", GARDEN, b" 0x10"),
    ("longest valid prefix", GARDEN, b" 1Z"),
    ("exponent", KETTLE, b" 34e0"),
    ("decimal point", KETTLE, b" 34.0"),
    ("list", KETTLE, b" 34, 34"),
    ("list with zero first", KETTLE, b" 0, 34"),
    ("list with zero last", KETTLE, b" 34, 0"),
    ("comma only", KETTLE, b" ,34"),
    ("inner space", KETTLE, b" 3 4"),
    ("quoted", KETTLE, b" \"34\""),
    (
        "overflows 64 bits",
        "CVE-2021-40346 and others",
        b" 18446744073709551650",
    ),
    (
        "wraps to the length",
        "CVE-2021-32714",
        b" 340282366920938463463374607431768211490",
    ),
    ("arabic digits", GARDEN, "\u{663}\u{664}".as_bytes()),
    ("begins with 0x85", GARDEN, b" \x8534"),
    ("ends in 0xa0", GARDEN, b" 34\xa0"),
    ("vertical tab", KETTLE, b"\x0b34"),
    ("form feed", KETTLE, b"34\x0c"),
    ("NUL", KETTLE, b" 34\0"),
    ("carriage return", KETTLE, b" 34\r"),
    ("a word", KETTLE, b" Z"),
];

const ENCODINGS: &[(&str, &str, &[u8])] = &[
    ("empty", GARDEN, b""),
    ("comma first", GARDEN, b" ,chunked"),
    ("comma last", GARDEN, b" chunked,"),
    ("chunked twice in a list", GARDEN, b" chunked, chunked"),
    (
        "chunked twice in two fields",
        GARDEN,
        b" chunked\r\nTransfer-Encoding: chunked",
    ),
    ("identity, then chunked", KETTLE, b" identity, chunked"),
    ("chunked, then identity", KETTLE, b" chunked, identity"),
    ("chunked within identity", KETTLE, b" identity, chunked, identity"),
    (
        "chunked and identity in two fields",
        KETTLE,
        b" chunked\r\nTransfer-Encoding: identity",
    ),
    (
        "identity and chunked in two fields",
        KETTLE,
        b" identity\r\nTransfer-Encoding: chunked",
    ),
    ("identity", GARDEN, b" identity"),
    ("gzip, chunked", "RFC 9112", b" gzip, chunked"),
    ("unknown", GARDEN, b" blegh"),
    ("begins alike", KETTLE, b" chunk"),
    ("ends alike", KETTLE, b" xchunked"),
    ("with a parameter", KETTLE, b" chunked;q=1"),
    ("quoted", KETTLE, b" \"chunked\""),
    ("single-quoted", KETTLE, b" 'chunked'"),
    ("encoded word", KETTLE, b" =?UTF-8?B?Y2h1bmtlZA==?="),
    ("between words", KETTLE, b" cow chunked bar"),
    ("begins with 0xff", GARDEN, b"\xffchunked"),
    ("between 0xa0", GARDEN, b" \xa0chunked\xa0"),
    ("begins with 0x85", GARDEN, b" \x85chunked"),
    ("accent", KETTLE, b" ch\x96nked"),
    ("vertical tab first", KETTLE, b"\x0bchunked"),
    ("vertical tab last", "CVE-2019-18277", b" chunked\x0b"),
    ("NUL last", KETTLE, b" chunked\0"),
    ("carriage return last", KETTLE, b" chunked\r"),
    ("folded", KETTLE, b"\r\n chunked"),
    ("folded by line feed", KETTLE, b"\n chunked"),
    ("folded twice", KETTLE, b"\r\n \r\n chunked"),
];

/// Name, source, fields, body; a smuggled request follows.
const PAIRS: &[(&str, &str, &str, &str)] = &[
    (
        "length, then chunks",
        "CL.TE",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    (
        "chunks, then length",
        "TE.CL",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "0\r\n\r\n",
    ),
    (
        "chunks and zero length",
        "TE.0",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "0\r\n\r\n",
    ),
    (
        "two lengths, first counts",
        GARDEN,
        "Content-Length: 1\r\nContent-Length: 0",
        "Z",
    ),
    (
        "two lengths, last counts",
        GARDEN,
        "Content-Length: 0\r\nContent-Length: 1",
        "Z",
    ),
    (
        "two equal lengths",
        "RFC 9112",
        "Content-Length: 1\r\nContent-Length: 1",
        "Z",
    ),
    (
        "empty length, then another",
        GARDEN,
        "Content-Length: \r\nContent-Length: 43",
        "",
    ),
    (
        "length with integer overflow in the name",
        "CVE-2021-40346",
        "Content-Length0aaaaaa:\r\nContent-Length: 1\r\nContent-Length: 31",
        "Z",
    ),
    (
        "connection hides the encoding",
        KETTLE,
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    (
        "an invalid field before the length",
        KETTLE,
        "X-Invalid Y: \r\nContent-Length: 1",
        "Z",
    ),
    (
        "encoding hidden by a folded field",
        KETTLE,
        "Foo: bar\r\n Transfer-Encoding: chunked\r\nContent-Length: 5",
        "0\r\n\r\n",
    ),
];

fn valid() -> Vec<Case> {
    let post = |fields: &str, rest: &str| format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{rest}");
    let case = |name: &str, source: &'static str, wire: String| {
        Case::refused(format!("length: {name}"), source, wire).then(Then::Open)
    };
    let old = "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    vec![
        case(
            "zero padding is decimal",
            GARDEN,
            post("Content-Length: 010", "0123456789"),
        )
        .reaching("/a", b"0123456789"),
        case(
            "a body on GET stays its body",
            GARDEN,
            post("Content-Length: 10", "GET /b HTT").replace("POST", "GET"),
        )
        .reaching("/a", b"GET /b HTT"),
        case(
            "a request as a body is a body",
            KETTLE,
            post("Content-Length: 35", SMUGGLED),
        )
        .reaching("/a", SMUGGLED.as_bytes()),
        case(
            "no length is no body",
            "RFC 9112",
            format!("{}{}", post("A: b", ""), "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
        )
        .reaching("/a", b"")
        .reaching("/b", b""),
        case(
            "zero, then a pipelined request",
            GARDEN,
            format!("{}{}", post("Content-Length: 0", ""), post("Content-Length: 1", "Z")),
        )
        .reaching("/a", b"")
        .reaching("/a", b"Z"),
        case(
            "upper case",
            KETTLE,
            post("TRANSFER-ENCODING: CHUNKED", "1\r\nZ\r\n0\r\n\r\n"),
        )
        .reaching("/a", b"Z"),
        case(
            "space around the value",
            KETTLE,
            post("Transfer-Encoding:  chunked\t ", "1\r\nZ\r\n0\r\n\r\n"),
        )
        .reaching("/a", b"Z"),
        case("HTTP/1.0 with chunks", "CVE-2026-2835", format!("{old}{SMUGGLED}")).then(Then::Closed),
        case(
            "a body that is not all there",
            "0.CL",
            post("Content-Length: 50", SMUGGLED),
        )
        .then(Then::Waits),
    ]
}
