//! Documents of the corpus that `TOLLGATE_OPENAPI_CORPUS` names: a folder with an `INDEX.tsv`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use description::bundle;
use description::located::{self, Limits};
use serde_json::Value;

/// A line of the index.
pub(crate) struct Row {
    pub(crate) tier: String,
    pub(crate) file: String,
    pub(crate) operations: usize,
}

/// The folder, unless the test is skipped.
pub(crate) fn corpus(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_OPENAPI_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped {test}: TOLLGATE_OPENAPI_CORPUS names no folder");
    }
    folder
}

/// The files of the corpus.
pub(crate) fn index(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let rows = text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        Row {
            tier: columns[0].to_owned(),
            file: columns[1].to_owned(),
            operations: columns[5].parse().unwrap_or(0),
        }
    });
    rows.collect()
}

/// The value of a file; none where it is neither YAML nor JSON.
pub(crate) fn load(folder: &Path, file: &str) -> Option<Arc<Value>> {
    let path = folder.join(file);
    if file.contains('/') {
        return Some(Arc::new(bundle::bundle(&path, &Limits::DESCRIPTION).unwrap().value));
    }
    let raw = std::fs::read(&path).unwrap();
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(raw.as_slice())
            .read_to_end(&mut bytes)
            .unwrap();
    } else {
        bytes = raw;
    }
    let document = located::parse_one(&bytes, &Limits::DESCRIPTION).ok()?;
    Some(Arc::new(document.into_value()))
}
