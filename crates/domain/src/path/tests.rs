use proptest::prelude::*;

use super::*;

/// Spellings that reach for `/admin` or leave the tree, and what becomes of each: refused, or the one canonical path.
const SPELLINGS: &[(&str, Result<&str, PathFault>)] = &[
    ("/admin", Ok("/admin")),
    ("/admin/", Ok("/admin/")),
    ("/", Ok("/")),
    ("", Err(PathFault::NotAbsolute)),
    ("*", Err(PathFault::NotAbsolute)),
    ("admin", Err(PathFault::NotAbsolute)),
    ("http://other.example/admin", Err(PathFault::NotAbsolute)),
    ("./admin", Err(PathFault::NotAbsolute)),
    ("/./admin", Err(PathFault::DotSegment)),
    ("/admin/.", Err(PathFault::DotSegment)),
    ("/admin/..", Err(PathFault::DotSegment)),
    ("/x/../admin", Err(PathFault::DotSegment)),
    ("/../admin", Err(PathFault::DotSegment)),
    ("/x/%2e%2e/admin", Err(PathFault::DotSegment)),
    ("/x/%2E%2E/admin", Err(PathFault::DotSegment)),
    ("/x/.%2e/admin", Err(PathFault::DotSegment)),
    ("/x/%2e./admin", Err(PathFault::DotSegment)),
    ("/%2e/admin", Err(PathFault::DotSegment)),
    ("/x/%252e%252e/admin", Err(PathFault::DotSegment)),
    ("/x/%25252e%25252e/admin", Err(PathFault::DotSegment)),
    ("/x/..;a=b/admin", Err(PathFault::DotSegment)),
    ("/x/..;/admin", Err(PathFault::DotSegment)),
    ("/x/.;/admin", Err(PathFault::DotSegment)),
    ("/x/%2e%2e;/admin", Err(PathFault::DotSegment)),
    ("/x/..%3Ba/admin", Err(PathFault::DotSegment)),
    ("//admin", Err(PathFault::EmptySegment)),
    ("///admin", Err(PathFault::EmptySegment)),
    ("/x//admin", Err(PathFault::EmptySegment)),
    ("/admin//", Err(PathFault::EmptySegment)),
    ("/%2fadmin", Err(PathFault::Separator)),
    ("/x%2Fadmin", Err(PathFault::Separator)),
    ("/x%2f..%2fadmin", Err(PathFault::Separator)),
    ("/x%252fadmin", Err(PathFault::Separator)),
    ("/x%5cadmin", Err(PathFault::Separator)),
    ("/x%5Cadmin", Err(PathFault::Separator)),
    ("/x%255cadmin", Err(PathFault::Separator)),
    ("/x\\admin", Err(PathFault::Separator)),
    ("/\\admin", Err(PathFault::Separator)),
    ("/x/..\\admin", Err(PathFault::Separator)),
    ("/admin%00", Err(PathFault::Character)),
    ("/admin%2500", Err(PathFault::Separator)),
    ("/admin\0", Err(PathFault::Character)),
    ("/admin%0d%0aX:1", Err(PathFault::Character)),
    ("/admin%09", Err(PathFault::Character)),
    ("/admin%7F", Err(PathFault::Character)),
    ("/ad min", Err(PathFault::Character)),
    ("/admin\t", Err(PathFault::Character)),
    ("/admin#x", Err(PathFault::Character)),
    ("/x#/../admin", Err(PathFault::Character)),
    ("/admin?x", Err(PathFault::Character)),
    ("/ädmin", Err(PathFault::Character)),
    ("/admin%", Err(PathFault::Escape)),
    ("/admin%2", Err(PathFault::Escape)),
    ("/admin%zz", Err(PathFault::Escape)),
    ("/admin%u002e", Err(PathFault::Escape)),
    ("/%c0%af", Err(PathFault::Encoding)),
    ("/%c0%ae%c0%ae/admin", Err(PathFault::Encoding)),
    ("/%e0%80%af", Err(PathFault::Encoding)),
    ("/%ed%a0%80", Err(PathFault::Encoding)),
    ("/%ff", Err(PathFault::Encoding)),
    ("/%61dmin", Ok("/admin")),
    ("/%61%64%6D%69%6e", Ok("/admin")),
    ("/ADMIN", Ok("/ADMIN")),
    ("/%41dmin", Ok("/Admin")),
    ("/admin;a=b", Ok("/admin;a=b")),
    ("/;/admin", Err(PathFault::EmptySegment)),
    ("/;a=b/admin", Err(PathFault::EmptySegment)),
    ("/%3b/admin", Err(PathFault::EmptySegment)),
    ("/x/;", Err(PathFault::EmptySegment)),
    ("/admin%3ba=b", Ok("/admin%3Ba=b")),
    ("/admin.", Ok("/admin.")),
    ("/admin.json", Ok("/admin.json")),
    ("/...", Ok("/...")),
    ("/.well-known/x", Ok("/.well-known/x")),
    ("/admin%20", Ok("/admin%20")),
    ("/admin%23x", Ok("/admin%23x")),
    ("/admin%3Fx", Ok("/admin%3Fx")),
    ("/%e2%82%ac", Ok("/%E2%82%AC")),
    ("/100%25", Ok("/100%25")),
    ("/a|b", Ok("/a%7Cb")),
    ("/a%7cb", Ok("/a%7Cb")),
    ("/a[1]{2}", Ok("/a%5B1%5D%7B2%7D")),
    ("/%7euser", Ok("/~user")),
    ("/users/%40me", Ok("/users/%40me")),
];

#[test]
fn every_spelling_is_refused_or_has_one_canonical_path() {
    for (path, expected) in SPELLINGS {
        let found = canonical(path);
        assert_eq!(found.as_deref(), expected.as_deref(), "{path:?}");
    }
}

#[test]
fn no_refused_spelling_hides_behind_one_that_passes() {
    let accepted: Vec<_> = SPELLINGS
        .iter()
        .filter(|(_, expected)| *expected == Ok("/admin"))
        .map(|(path, _)| *path)
        .collect();
    assert_eq!(accepted, ["/admin", "/%61dmin", "/%61%64%6D%69%6e"]);
}

#[test]
fn segments_are_compared_decoded() {
    assert_eq!(decoded("%40me"), "@me");
    assert_eq!(decoded("k%C3%A4se"), "käse");
    assert_eq!(decoded("plain"), "plain");
    assert_eq!(decoded("%FF"), "%FF");
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just(".".to_owned()),
        Just("%2e".to_owned()),
        Just("%25".to_owned()),
        Just("%2F".to_owned()),
        Just("2e".to_owned()),
        Just(";".to_owned()),
        Just("\\".to_owned()),
        Just("%".to_owned()),
        Just("%c3%a9".to_owned()),
        Just("|".to_owned()),
        "[a-zA-Z0-9]{1,3}",
        "%[0-9a-fA-F]{2}",
        ".",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// What the most careless upstream would do: decode until nothing changes, then resolve dots and both slashes.
fn leaves_the_tree(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    loop {
        let deeper = decode(&bytes);
        if deeper.len() == bytes.len() {
            break;
        }
        bytes = deeper;
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    text.split('/')
        .any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own_canonical_form(path in pieces()) {
        if let Ok(first) = canonical(&path) {
            let second = canonical(&first);
            prop_assert_eq!(second.as_deref(), Ok(&*first));
            prop_assert_eq!(first.split('/').count(), path.split('/').count());
            prop_assert!(!leaves_the_tree(&first), "{}", first);
        }
    }

    #[test]
    fn any_text_is_answered_without_a_panic(path in "\\PC{0,60}") {
        let _ = canonical(&path);
        let _ = decoded(&path);
    }
}
