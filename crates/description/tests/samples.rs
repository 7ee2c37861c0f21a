//! Small documents of other projects (see `data/NOTICE`), sound and malformed.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::path::Path;

use description::located::Limits;
use description::openapi::{self, Description};

fn load(file: &str) -> Description {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    openapi::load(&std::fs::read(path).unwrap(), &Limits::DESCRIPTION).description
}

#[test]
fn sound_documents_give_their_operations_without_a_fault() {
    let table = [
        ("museum-3.1.yaml", 8),
        ("pb33f-yaml-anchor.yaml", 2),
        ("pb33f-invalid-recursive.yaml", 1),
        ("readme-circular-paths.yaml", 3),
    ];
    for (file, operations) in table {
        let description = load(file);
        assert_eq!(description.operations.len(), operations, "{file}");
        assert_eq!(description.faults, [], "{file}");
    }
}

#[test]
fn every_novelty_of_three_two_is_read() {
    let description = load("redocly-3.2-all-features.yaml");
    let operations: Vec<_> = description
        .operations
        .iter()
        .map(|o| (o.method.as_str(), o.path_key.as_str()))
        .collect();
    assert!(operations.contains(&("QUERY", "/products")), "{operations:?}");
    assert!(operations.contains(&("test", "/products")), "{operations:?}");
    assert_eq!(operations.len(), 5);
}

/// A file, how many operations it has nevertheless, and where its faults stand: pointers and lines.
type Malformed = (&'static str, usize, &'static [(&'static str, u32)]);

const MALFORMED: [Malformed; 9] = [
    (
        "apidevtools-duplicate-operation-ids.yaml",
        2,
        &[("/paths/~1users/post/operationId", 14)],
    ),
    (
        "apidevtools-path-placeholder-no-param.yaml",
        2,
        &[
            ("/paths/~1users~1{username}~1{foo}/get", 17),
            ("/paths/~1users~1{username}~1{foo}/post", 30),
        ],
    ),
    ("apidevtools-login-page.html", 0, &[("", 1)]),
    ("readme-not-swagger.yaml", 0, &[("", 1)]),
    ("readme-numeric-version.yaml", 1, &[("/swagger", 1)]),
    (
        "readme-multiple-invalid-properties.yaml",
        1,
        &[
            ("/servers/0/urll", 7),
            ("/servers/0", 7),
            ("/paths/~1pet~1findByStatus/get/tagss", 17),
        ],
    ),
    (
        "readme-invalid-schema-names.json",
        1,
        &[
            ("/components/requestBodies/pet payload", 45),
            ("/components/securitySchemes/petstore auth", 63),
            ("/components/schemas/Api Response", 156),
        ],
    ),
    (
        "pb33f-badref-burgershop.yaml",
        5,
        &[
            (
                "/paths/~1burgers/post/requestBody/content/application~1json/schema/$ref",
                38,
            ),
            (
                "/paths/~1burgers/post/responses/200/content/application~1json/schema/$ref",
                56,
            ),
            (
                "/paths/~1burgers/post/responses/422/content/application~1json/schema/$ref",
                90,
            ),
            (
                "/paths/~1burgers~1{burgerId}/get/responses/500/content/application~1json/schema/$ref",
                151,
            ),
            (
                "/paths/~1dressings~1{dressingId}/get/responses/500/content/application~1json/schema/$ref",
                220,
            ),
            ("/components/schemas/Fries/properties/favoriteDressings/items/$ref", 294),
        ],
    ),
    (
        "redocly-petstore-with-errors.yaml",
        3,
        &[
            ("/info/description", 5),
            ("/info/description/$ref", 6),
            ("/paths/~1pets?id", 15),
            ("/paths/~1pets?id/get", 16),
            ("/paths/~1pets?id/get/parameters/0/in", 40),
            ("/paths/~1pets?id/get/parameters/1", 46),
        ],
    ),
];

#[test]
fn malformed_documents_give_each_fault_with_pointer_and_line() {
    for (file, operations, faults) in MALFORMED {
        let description = load(file);
        assert_eq!(description.operations.len(), operations, "{file}");
        let found: Vec<_> = description
            .faults
            .iter()
            .map(|f| (f.pointer.as_str(), f.position.map_or(0, |at| at.line)))
            .collect();
        assert_eq!(found, faults, "{file}");
    }
}

#[test]
fn hostile_documents_end_in_a_report() {
    let megabytes = |unit: &str| unit.repeat((4 << 20) / unit.len());
    let head = "openapi: 3.1.0\npaths:\n";
    let table = [
        (
            "keys",
            format!(
                "{{\"openapi\":\"3.1.0\",\"paths\":{{{}\"/z\":{{}}}}}}",
                megabytes("\"/a\":{},")
            ),
        ),
        ("open quotes", megabytes("a: \"")),
        ("explicit keys", megabytes("? ")),
        ("open lists", megabytes("[a,")),
        ("open maps", megabytes("{a: ")),
        ("colons", megabytes(": ")),
        ("anchors", megabytes("&a ")),
        ("aliases", format!("a: &a 1\nb: [{}1]", megabytes("*a,"))),
        ("tags", megabytes("!!str ")),
        ("spaces", megabytes("      \n")),
        ("comments", megabytes("# x\n")),
        ("documents", megabytes("---\n")),
        ("one word", megabytes("word ")),
        ("one key", format!("{}: 1", megabytes("k"))),
        ("block text", format!("a: |\n{}", megabytes(" x\n"))),
        ("directives", megabytes("%YAML 1.2\n")),
        ("flow pairs", format!("[{}]", megabytes("a: b, "))),
        ("merges", format!("a: &a {{b: 1}}\nc:\n{}", megabytes("  <<: *a\n"))),
        ("one path", format!("{head}  /{}: {{get: {{}}}}\n", megabytes("{a}"))),
        ("escapes", format!("\"{}\"", megabytes("\\n"))),
        ("back slashes", format!("{{\"a\":\"{}\"}}", megabytes("\\\\"))),
        ("digits", format!("[{}]", megabytes("9"))),
        ("yaml digits", format!("a: {}", megabytes("9"))),
        ("carriage returns", format!("a: 1{}", megabytes("\r"))),
        (
            "references",
            format!(
                "{{\"openapi\":\"3.1.0\",\"x\":[{}1]}}",
                megabytes("{\"$ref\":\"#/x/y\"},")
            ),
        ),
    ];
    for (name, text) in table {
        let start = std::time::Instant::now();
        let loaded = openapi::load(text.as_bytes(), &Limits::DESCRIPTION);
        println!(
            "{:>9.1?} {name}: {}",
            start.elapsed(),
            loaded
                .description
                .faults
                .first()
                .map(ToString::to_string)
                .unwrap_or_default()
        );
        assert!(!loaded.description.faults.is_empty(), "{name}");
        assert!(loaded.description.operations.is_empty(), "{name}");
    }
}
