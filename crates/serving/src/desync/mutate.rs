//! Spellings of `Transfer-Encoding` beside a valid `Content-Length`, made from
//! the rules of the public smuggling scanners: special bytes 0x01 to 0x20 and
//! 0x7f to 0xff in one or two of four places, and some thirty forms by name.

use super::{Case, Then};

const SCANNERS: &str = "Palmer, Smuggler: default, exhaustive and doubles";

/// The four places of a special byte: before the name, after the name, before
/// the value, after the value.
const PLACES: usize = 4;

/// Every mutation with two probes each: one whose body ends early if it is
/// read as chunks, one that ends early if it is read by length.
///
/// None may be read as chunks. Where one reaches a service at all, it does so
/// with a body of exactly `Content-Length` bytes; what follows is refused.
pub fn mutations() -> Vec<Case> {
    gadgets()
        .into_iter()
        .flat_map(|(name, gadget)| probes(&name, &gadget))
        .collect()
}

fn probes(name: &str, gadget: &[u8]) -> [Case; 2] {
    [("4", "1\r\nZ\r\nQ\r\n\r\n"), ("6", "0\r\n\r\nX\r\nQ\r\n\r\n")].map(|(length, body)| {
        let wire = [
            b"POST /a?cb=1 HTTP/1.1\r\n",
            gadget,
            b"\r\nHost: h\r\nUser-Agent: u\r\nContent-Type: text/plain\r\nContent-Length: ",
            length.as_bytes(),
            b"\r\n\r\n",
            body.as_bytes(),
        ];
        Case::refused(format!("{name}, length {length}"), SCANNERS, wire.concat()).then(Then::Closed)
    })
}

fn gadgets() -> Vec<(String, Vec<u8>)> {
    let mut gadgets: Vec<(String, Vec<u8>)> = NAMED
        .iter()
        .map(|(name, gadget)| ((*name).to_owned(), gadget.to_vec()))
        .collect();
    for byte in special_bytes() {
        for first in 0..PLACES {
            gadgets.push((format!("{byte:02x} at {first}"), placed(byte, &[first])));
            for second in first + 1..PLACES {
                let name = format!("{byte:02x} at {first} and {second}");
                gadgets.push((name, placed(byte, &[first, second])));
            }
        }
    }
    for byte in [1, 4, 8, 9, 10, 11, 12, 13, 0x1f, 0x20, 0x7f, 0xa0, 0xff] {
        gadgets.extend(joined(byte));
    }
    gadgets
}

fn special_bytes() -> impl Iterator<Item = u8> {
    (0x01..=0x20).chain(0x7f..=0xff)
}

fn placed(byte: u8, places: &[usize]) -> Vec<u8> {
    let at = |place: usize| {
        if places.contains(&place) {
            vec![byte]
        } else {
            Vec::new()
        }
    };
    let before_value = if places.contains(&2) { vec![byte] } else { vec![b' '] };
    [
        &at(0)[..],
        b"Transfer-Encoding",
        &at(1),
        b":",
        &before_value,
        b"chunked",
        &at(3),
    ]
    .concat()
}

/// A second field joined to the first by a special byte.
fn joined(byte: u8) -> Vec<(String, Vec<u8>)> {
    let encoding = &b"Transfer-Encoding: chunked"[..];
    let special = &[byte][..];
    [
        ("field, byte, encoding", [b"X: X", special, encoding].concat()),
        ("encoding, byte, field", [encoding, special, b"X: X"].concat()),
        ("field, CR, byte, encoding", [b"X: X\r", special, encoding].concat()),
        (
            "field, byte, LF, encoding",
            [b"X: X", special, b"\n", encoding].concat(),
        ),
        (
            "encoding, CR, byte, field",
            [encoding, b"\r", special, b"X: X"].concat(),
        ),
        ("encoding, byte, LF, field", [encoding, special, b"\nX: X"].concat()),
    ]
    .map(|(name, gadget)| (format!("{byte:02x}: {name}"), gadget))
    .into()
}

const NAMED: &[(&str, &[u8])] = &[
    ("plain", b"Transfer-Encoding: chunked"),
    ("space for hyphen", b"Transfer Encoding: chunked"),
    ("underscore for hyphen", b"Transfer_Encoding: chunked"),
    ("space for hyphen, no space", b"Transfer Encoding:chunked"),
    ("two spaces", b"Transfer-Encoding:  chunked"),
    ("cow last", b"Transfer-Encoding: chunked, cow"),
    ("cow first", b"Transfer-Encoding: cow, chunked"),
    ("content encoding", b"Content-Encoding: chunked"),
    ("folded by LF", b"Transfer-Encoding:\n chunked"),
    ("double quotes", b"Transfer-Encoding: \"chunked\""),
    ("single quotes", b"Transfer-Encoding: 'chunked'"),
    ("half a word", b"Transfer-Encoding: chunk"),
    ("mixed case", b"TrAnSFer-EnCODinG: cHuNkeD"),
    ("upper case", b"TRANSFER-ENCODING: CHUNKED"),
    ("CR last", b"Transfer-Encoding: chunked\r"),
    ("tab last", b"Transfer-Encoding: chunked\t"),
    ("two fields", b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    ("CR in the name", b"Transfer\r-Encoding: chunked"),
    ("between words", b"Transfer-Encoding: cow chunked bar"),
    ("no space but 0xff", b"Transfer-Encoding:\xffchunked"),
    ("accent in the value", b"Transfer-Encoding: ch\x96nked"),
    ("accent in the name", b"Transf\x82r-Encoding: chunked"),
    ("after a CR", b"X:X\rTransfer-Encoding: chunked"),
    ("after an LF", b"X:X\nTransfer-Encoding: chunked"),
    ("tab on both sides of the colon", b"Transfer-Encoding\t:\tchunked"),
    ("folded under another field", b"Foo: bar\r\n Transfer-Encoding: chunked"),
    ("folded by CRLF", b"Transfer-Encoding: \r\n\tchunked"),
    ("percent in the name", b"Transfer-%45ncoding: chunked"),
    ("a pseudo-header", b":transfer-encoding: chunked"),
    ("value in the name", b"Transfer-Encoding chunked : chunked"),
];
