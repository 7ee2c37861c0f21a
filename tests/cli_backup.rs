//! `backup`, `restore`, `migrate` and `openapi` on folders alone.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const PRODUCER: &str = "0123456789abcdef0123456789abcdef";

/// A data directory as an orderly stop leaves it, with a segment of the journal.
fn deployment(folder: &Path) {
    let (code, _, err) = run(folder, &["migrate", "--data-dir", "data"]);
    assert_eq!(code, 0, "{err}");
    let data = folder.join("data");
    std::fs::write(data.join("master.key"), "00".repeat(32)).unwrap();
    std::fs::create_dir_all(data.join("outbox/2027")).unwrap();
    std::fs::write(data.join("outbox/2027/1.eml"), "Subject: hello\n").unwrap();
    let journal = data.join("journal");
    std::fs::create_dir_all(journal.join(PRODUCER)).unwrap();
    let mut segment = vec![0_u8; 1 << 20];
    segment[..4].copy_from_slice(b"head");
    segment[300_000..300_004].copy_from_slice(b"tail");
    std::fs::write(journal.join(PRODUCER).join("0000000000.seg"), segment).unwrap();
    for name in ["lock", "instance", "spare-1"] {
        std::fs::write(journal.join(name), name).unwrap();
    }
}

/// Every file below a folder with what it holds.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_backup_restores_to_the_same_deployment() {
    for to in ["backup", "backup.tar", "backup.tar.gz"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        deployment(at);
        let (code, _, err) = run(at, &["backup", "--data-dir", "data", "--to", to]);
        assert_eq!(code, 0, "{err}");
        let (code, out, err) = run(at, &["restore", "--from", to, "--data-dir", "again"]);
        assert_eq!(code, 0, "{err}");
        assert!(
            out.ends_with("start it with: tollgate serve --data-dir again\n"),
            "{out}"
        );
        let (before, after) = (contents(&at.join("data")), contents(&at.join("again")));
        let segment = format!("journal/{PRODUCER}/0000000000.seg");
        for name in ["master.key", "outbox/2027/1.eml", segment.as_str()] {
            assert_eq!(before.get(name), after.get(name), "{name}");
        }
        let names: Vec<&str> = after.keys().map(String::as_str).collect();
        let expected = [
            "analytics.db",
            "control.db",
            &segment,
            "journal/restored",
            "ledger.db",
            "master.key",
            "outbox/2027/1.eml",
        ];
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(run(at, &["migrate", "--data-dir", "again"]).0, 0);
        let mode = |path: &str| std::fs::metadata(at.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("again"), mode("again/master.key")), (0o700, 0o600));
        assert_eq!(mode("again/ledger.db"), 0o600);
        let left: Vec<_> = std::fs::read_dir(at)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.iter().all(|name| !name.to_str().unwrap().starts_with('.')),
            "{left:?}"
        );
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    deployment(at);
    std::fs::create_dir(at.join("backup")).unwrap();
    let (code, _, err) = run(at, &["backup", "--data-dir", "data", "--to", "backup"]);
    assert_eq!(
        (code, err.as_str()),
        (
            1,
            "backup is there already: name a folder or file that does not exist\n"
        )
    );
    assert_eq!(run(at, &["backup", "--data-dir", "data", "--to", "new"]).0, 0);
    let before = contents(&at.join("data"));
    let (code, _, err) = run(at, &["restore", "--from", "new", "--data-dir", "data"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("data is not empty: "), "{err}");
    assert_eq!(contents(&at.join("data")), before);
}

#[test]
fn a_folder_without_a_deployment_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(folder.path(), &["backup", "--data-dir", "data", "--to", "new"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("data holds no embedded deployment: "), "{err}");
    let (code, _, err) = run(folder.path(), &["restore", "--from", "nowhere", "--data-dir", "data"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "nowhere is no backup: it has no readable manifest.json\n")
    );
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    deployment(at);
    assert_eq!(run(at, &["backup", "--data-dir", "data", "--to", "new"]).0, 0);
    let segment = at.join("new/journal").join(PRODUCER).join("0000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[500_000] = 1;
    std::fs::write(&segment, bytes).unwrap();
    let (code, _, err) = run(at, &["restore", "--from", "new", "--data-dir", "again"]);
    assert_eq!(code, 1);
    assert!(
        err.starts_with(&format!(
            "journal/{PRODUCER}/0000000000.seg is not what the backup wrote"
        )),
        "{err}"
    );
    assert!(!at.join("again").exists());
}

#[test]
fn a_manifest_cannot_reach_outside_the_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    deployment(at);
    assert_eq!(run(at, &["backup", "--data-dir", "data", "--to", "new"]).0, 0);
    let path = at.join("new/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["files"][0]["path"] = "../escaped".into();
    std::fs::write(&path, manifest.to_string()).unwrap();
    let (code, _, err) = run(at, &["restore", "--from", "new", "--data-dir", "again"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "../escaped does not belong into a data directory\n")
    );
    assert!(!at.join("escaped").exists() && !at.join("again").exists());
}

#[test]
fn a_database_on_a_server_is_not_ours_to_copy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("tollgate.toml"),
        "store.url = \"postgres://localhost/x\"\n",
    )
    .unwrap();
    let (code, _, err) = run(folder.path(), &["backup", "--data-dir", "data", "--to", "new"]);
    assert_eq!(code, 1);
    assert!(err.contains("pg_dump"), "{err}");
}

#[test]
fn migrating_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), &["migrate", "--data-dir", "data"]);
    let second = run(folder.path(), &["migrate", "--data-dir", "data"]);
    assert_eq!(first.0, 0, "{}", first.2);
    assert_eq!(first.1, second.1);
    assert!(first.1.starts_with("control: version "), "{}", first.1);
}

#[test]
fn the_committed_document_of_the_api_is_compared_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (code, document, _) = run(at, &["openapi"]);
    assert_eq!(code, 0);
    let parsed: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(parsed["openapi"], "3.1.0");
    std::fs::write(at.join("api.json"), &document).unwrap();
    assert_eq!(run(at, &["openapi", "--check", "--file", "api.json"]).0, 0);
    std::fs::write(at.join("api.json"), document.replacen("3.1.0", "3.1.9", 1)).unwrap();
    let (code, _, err) = run(at, &["openapi", "--check", "--file", "api.json"]);
    assert_eq!(
        (code, err.as_str()),
        (
            1,
            "api.json:2:1: differs from the API of this program\nwrite it with: tollgate openapi > api.json\n"
        )
    );
}
