//! Every document of a corpus of real descriptions, named by `TOLLGATE_OPENAPI_CORPUS`: a folder with an `INDEX.tsv`.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use description::located::Limits;
use description::openapi::{self, Loaded};
use description::{Severity, bundle, import};

struct Row {
    tier: String,
    file: String,
    operations: Option<usize>,
}

fn corpus(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_OPENAPI_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped {test}: TOLLGATE_OPENAPI_CORPUS names no folder");
    }
    folder
}

fn index(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let rows = text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Row {
            tier: columns[0].to_owned(),
            file: columns[1].to_owned(),
            operations: columns[5].parse().ok(),
        }
    });
    rows.collect()
}

fn bytes(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(raw.as_slice())
            .read_to_end(&mut text)
            .unwrap();
        return text;
    }
    raw
}

fn load(folder: &Path, row: &Row) -> Loaded {
    let path = folder.join(&row.file);
    if row.tier == "multifile" {
        let bundled = bundle::bundle(&path, &Limits::DESCRIPTION).unwrap();
        assert!(bundled.faults.is_empty(), "{:?}", bundled.faults);
        return openapi::load(
            serde_json::to_string_pretty(&bundled.value).unwrap().as_bytes(),
            &Limits::DESCRIPTION,
        );
    }
    openapi::load(&bytes(&path), &Limits::DESCRIPTION)
}

#[test]
fn every_document_has_the_operations_of_the_index() {
    let Some(folder) = corpus("every_document_has_the_operations_of_the_index") else {
        return;
    };
    for row in index(&folder) {
        let start = std::time::Instant::now();
        let loaded = load(&folder, &row);
        let description = &loaded.description;
        let errors = description
            .faults
            .iter()
            .filter(|fault| fault.severity == Severity::Error)
            .count();
        let warnings = description.faults.len() - errors;
        let count = description.operations.len();
        println!(
            "{:>7.1?} {:5} operations {errors:3} errors {warnings:3} warnings {}",
            start.elapsed(),
            count,
            row.file
        );
        for fault in description.faults.iter().take(6) {
            println!("             {fault}");
        }
        // The index counts what routing counts; a file that is no description has none.
        assert_eq!(count, row.operations.unwrap_or(0), "{}", row.file);
        for fault in &description.faults {
            assert!(fault.position.is_some(), "{}: {fault}", row.file);
            assert!(!fault.reason.is_empty() && !fault.remedy.is_empty());
        }
        let typed = loaded
            .document
            .as_ref()
            .map(|document| openapi::typed_check(document.value()));
        println!(
            "             {} from the typed check, {:.1?}",
            typed.map_or(0, |faults| faults.len()),
            start.elapsed()
        );
    }
}

#[test]
fn malformed_documents_give_faults_with_pointer_and_line() {
    let Some(folder) = corpus("malformed_documents_give_faults_with_pointer_and_line") else {
        return;
    };
    for row in index(&folder).into_iter().filter(|row| row.tier == "malformed") {
        let faults = load(&folder, &row).description.faults;
        assert!(!faults.is_empty(), "{}", row.file);
        assert!(
            faults.iter().all(|fault| fault.position.is_some_and(|at| at.line > 0)),
            "{}: {faults:?}",
            row.file
        );
    }
}

#[test]
fn the_split_description_bundles_to_the_operations_of_the_whole_one() {
    let Some(folder) = corpus("the_split_description_bundles_to_the_operations_of_the_whole_one") else {
        return;
    };
    let whole = openapi::load(&bytes(&folder.join("cafe-3.2.yaml")), &Limits::DESCRIPTION).description;
    let bundled = bundle::bundle(&folder.join("cafe-split/cafe.yaml"), &Limits::DESCRIPTION).unwrap();
    assert_eq!(bundled.faults, []);
    let split = openapi::read(&bundled.value);
    assert_eq!(split.faults, []);
    assert_eq!((&split.title, &split.servers), (&whole.title, &whole.servers));
    assert_eq!(split.operations, whole.operations);
    let schemas = |value: &serde_json::Value| {
        let mut names: Vec<String> = value["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    };
    let document = openapi::load(&bytes(&folder.join("cafe-3.2.yaml")), &Limits::DESCRIPTION)
        .document
        .unwrap();
    assert_eq!(schemas(&bundled.value), schemas(document.value()));
}

#[test]
fn every_document_imports_under_a_name_of_its_own() {
    let Some(folder) = corpus("every_document_imports_under_a_name_of_its_own") else {
        return;
    };
    for row in index(&folder) {
        let description = load(&folder, &row).description;
        let imported = import::import(&description, "http://127.0.0.1:9001", &import::Options::default());
        let api = &imported.value["apis"][0];
        assert!(
            api["name"].as_str().is_some_and(|name| !name.is_empty()),
            "{}",
            row.file
        );
        let url = api["upstream"]["targets"][0]["url"].as_str().unwrap();
        assert!(url.starts_with("http://127.0.0.1:9001"), "{}: {url}", row.file);
        println!("{:32} {:28} {url}", row.file, api["name"].as_str().unwrap());
    }
}
