//! The shape of the house: which crate may know which, how crates and modules are called, how long files and functions
//! are.

#![expect(clippy::unwrap_used, reason = "in a test a panic is a finding")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate of this workspace may depend on, besides the domain. `tollgate` may know all.
const MAY_KNOW: &[(&str, &[&str])] = &[
    // Leaves that know nothing of the domain.
    ("tollgate-serving", &[]),
    ("tollgate-telemetry", &[]),
    // The bottom.
    ("tollgate-domain", &[]),
    // Ports and what is built on the domain alone.
    ("tollgate-store", &["domain"]),
    ("tollgate-journal", &["domain"]),
    ("tollgate-usage-source", &["domain", "journal"]),
    ("tollgate-counters", &["domain"]),
    ("tollgate-analytics", &["domain"]),
    ("tollgate-description", &["domain"]),
    ("tollgate-documents", &["domain"]),
    ("tollgate-mail", &["domain"]),
    ("tollgate-reconciliation", &["domain", "store", "analytics"]),
    ("tollgate-reference", &["description"]),
    ("tollgate-snapshot", &["domain", "description"]),
    // The services; they never know each other.
    (
        "tollgate-gateway",
        &[
            "domain",
            "snapshot",
            "journal",
            "counters",
            "usage-source",
            "serving",
            "telemetry",
        ],
    ),
    (
        "tollgate-metering",
        &[
            "domain",
            "store",
            "usage-source",
            "journal",
            "analytics",
            "serving",
            "telemetry",
        ],
    ),
    (
        "tollgate-billing",
        &["domain", "store", "documents", "serving", "telemetry"],
    ),
    (
        "tollgate-portal",
        &[
            "domain",
            "store",
            "snapshot",
            "analytics",
            "description",
            "documents",
            "mail",
            "reconciliation",
            "reference",
            "serving",
            "telemetry",
        ],
    ),
];

const SERVICES: &[&str] = &["gateway", "metering", "billing", "portal"];
const VAGUE: &[&str] = &["common", "util", "utils", "helpers", "core", "misc"];

/// Lines that no function and no file may pass, and the bounds of 19 in 20.
const FUNCTION: (usize, usize) = (80, 40);
const FILE: (usize, usize) = (600, 400);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Crates of the workspace and the crates of it that each one needs to be built (not to be tested).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let needs = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let built = all.filter(|dependency| dependency["kind"] != "dev").map(name);
        built.filter(|name| members.contains(name)).collect()
    };
    packages.iter().map(|package| (name(package), needs(package))).collect()
}

#[test]
fn dependencies_point_down_only() {
    let mut wrong = Vec::new();
    for (name, needs) in dependencies() {
        if name == "tollgate" {
            continue;
        }
        let Some((_, may)) = MAY_KNOW.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} has no place in the house: give it one here"));
            continue;
        };
        let short = |name: &String| name.trim_start_matches("tollgate-").to_owned();
        let forbidden = needs.iter().map(short).filter(|needed| !may.contains(&needed.as_str()));
        wrong.extend(forbidden.map(|needed| format!("{name} depends on {needed}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_themselves_keep_the_services_apart() {
    let may = |name: &str| {
        MAY_KNOW
            .iter()
            .find(|(known, _)| *known == format!("tollgate-{name}"))
            .unwrap()
            .1
    };
    for service in SERVICES {
        assert!(!may(service).iter().any(|known| SERVICES.contains(known)), "{service}");
    }
    assert!(
        !may("gateway")
            .iter()
            .any(|known| ["store", "analytics"].contains(known))
    );
    assert!(
        !may("billing")
            .iter()
            .any(|known| ["analytics", "journal", "usage-source"].contains(known))
    );
    // And the workspace is what is looked at.
    let known = dependencies();
    assert!(known.len() >= 15 && known["tollgate"].len() >= 4, "{known:?}");
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The sources of the product, without tests, with their paths from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["", "gateway", "metering", "billing", "portal"]
        .map(|name| root().join(name).join("src"))
        .into();
    folders.extend(
        std::fs::read_dir(root().join("crates"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("src")),
    );
    for folder in &folders {
        files_below(folder, &mut found);
    }
    let relative = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().display().to_string(), text)
    };
    let is_test = |name: &str| name.ends_with("/tests.rs") || name.contains("/tests/") || name.ends_with("/testing.rs");
    let mut sources: Vec<_> = found
        .into_iter()
        .map(relative)
        .filter(|(name, _)| !is_test(name))
        .collect();
    sources.sort();
    sources
}

/// The lines before the tests inside a file.
fn without_tests(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = |at: &usize| {
        lines[*at].trim() == "#[cfg(test)]"
            && lines
                .get(at + 1)
                .is_some_and(|next| next.trim_start().starts_with("mod ") && next.contains('{'))
    };
    let end = (0..lines.len()).find(starts).unwrap_or(lines.len());
    lines[..end].to_vec()
}

/// A line without what is in quotes or behind `//`, as far as one line shows it.
fn bare(line: &str) -> String {
    let (mut out, mut chars, mut quoted) = (String::new(), line.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('\\', true) => drop(chars.next()),
            ('"', _) => quoted = !quoted,
            (_, true) => {}
            ('/', false) if chars.peek() == Some(&'/') => break,
            ('\'', false) => {
                // A character, or a lifetime, which has no closing quote two or three characters on.
                let ahead: String = chars.clone().take(3).collect();
                let length = if ahead.starts_with('\\') { 3 } else { 2 };
                if ahead.chars().nth(length - 1) == Some('\'') {
                    chars.by_ref().take(length).for_each(drop);
                }
            }
            _ => out.push(c),
        }
    }
    out
}

fn starts_function(line: &str) -> bool {
    let head = line.trim_start().split('(').next().unwrap_or_default();
    let mut words = head.split_whitespace();
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    line.trim_start().starts_with("pub(") && line.contains(" fn ")
        || words.find(|word| !before.contains(word)) == Some("fn")
}

/// Name and length in lines of each function.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| starts_function(line)) {
        let (mut depth, mut opened) = (0_i64, false);
        for (count, next) in lines[at..].iter().enumerate() {
            let code = bare(next);
            for c in code.chars() {
                depth += i64::from(c == '{') - i64::from(c == '}');
                opened |= c == '{';
            }
            if !opened && code.trim_end().ends_with(';') {
                break;
            }
            if opened && depth <= 0 {
                let name = line
                    .split("fn ")
                    .nth(1)
                    .unwrap_or_default()
                    .split(['(', '<'])
                    .next()
                    .unwrap_or_default();
                found.push((name.to_owned(), count + 1));
                break;
            }
        }
    }
    found
}

fn ninety_fifth(sizes: &mut [usize]) -> usize {
    sizes.sort_unstable();
    sizes.get(sizes.len() * 95 / 100).copied().unwrap_or(0)
}

#[test]
fn the_scan_measures_functions() {
    let text = "fn one() {}\npub(crate) async fn two(\n    a: u8,\n) -> &'static str {\n    let b = '{';\n    \"}\" // }\n}\ntrait T { \n    fn three();\n}\n// fn four() {\n";
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(functions(&lines), [("one".to_owned(), 1), ("two".to_owned(), 6)]);
}

#[test]
fn nothing_has_a_vague_name() {
    let is_vague = |name: &str| VAGUE.contains(&name.trim_start_matches("tollgate-"));
    let crates: Vec<_> = dependencies().into_keys().filter(|name| is_vague(name)).collect();
    let modules: Vec<_> = sources()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.trim_end_matches(".rs").split('/').any(is_vague))
        .collect();
    assert!(crates.is_empty() && modules.is_empty(), "{crates:?} {modules:?}");
}

#[test]
fn files_and_functions_stay_short() {
    let (mut files, mut lengths, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for (name, text) in sources() {
        let lines = without_tests(&text);
        files.push(lines.len());
        if lines.len() > FILE.0 {
            over.push(format!("{name}: {} lines", lines.len()));
        }
        for (function, length) in functions(&lines) {
            lengths.push(length);
            if length > FUNCTION.0 {
                over.push(format!("{name}: {function} has {length} lines"));
            }
        }
    }
    let (file, function) = (ninety_fifth(&mut files), ninety_fifth(&mut lengths));
    println!(
        "{} files, 95 % at most {file} lines; {} functions, 95 % at most {function}",
        files.len(),
        lengths.len()
    );
    println!(
        "longest file {}, longest function {}",
        files.last().unwrap(),
        lengths.last().unwrap()
    );
    assert!(files.len() > 100 && lengths.len() > 1_000);
    assert!(over.is_empty(), "{over:#?}");
    assert!(file <= FILE.1, "95 % of the files have up to {file} lines");
    assert!(
        function <= FUNCTION.1,
        "95 % of the functions have up to {function} lines"
    );
}
