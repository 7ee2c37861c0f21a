//! Embeds the files of `migrations/{sqlite,postgres}/{control,ledger}/NNNN_name.sql` in the binary and refuses to build
//! when the two databases do not have the same file names.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const AREAS: [&str; 2] = ["control", "ledger"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(required("CARGO_MANIFEST_DIR")?)
        .join("../../migrations")
        .canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let mut code = String::new();
    for area in AREAS {
        let (sqlite, postgres) = (root.join("sqlite").join(area), root.join("postgres").join(area));
        let (names, others) = (files(&sqlite)?, files(&postgres)?);
        if names != others {
            return Err(format!("migrations of {area} differ: sqlite has {names:?}, postgres has {others:?}").into());
        }
        table(&mut code, &format!("SQLITE_{}", area.to_uppercase()), &sqlite, &names)?;
        table(
            &mut code,
            &format!("POSTGRES_{}", area.to_uppercase()),
            &postgres,
            &names,
        )?;
    }
    fs::write(Path::new(&required("OUT_DIR")?).join("migrations.rs"), code)?;
    Ok(())
}

fn required(name: &str) -> Result<String, Box<dyn Error>> {
    env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| format!("{name} is not set").into())
}

fn files(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    if !folder.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "sql") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn table(code: &mut String, constant: &str, folder: &Path, names: &[String]) -> Result<(), Box<dyn Error>> {
    writeln!(code, "static {constant}: &[Migration] = &[")?;
    let mut last = 0_u32;
    for name in names {
        let stem = name.trim_end_matches(".sql");
        let (number, title) = stem
            .split_once('_')
            .ok_or_else(|| format!("{name} is not NNNN_name.sql"))?;
        let version: u32 = number.parse()?;
        if version <= last {
            return Err(format!("{name}: the number {version} is taken twice").into());
        }
        last = version;
        let path = folder.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(
            code,
            "    Migration {{ version: {version}, name: {title:?}, sql: include_str!({:?}) }},",
            path.display().to_string()
        )?;
    }
    writeln!(code, "];")?;
    Ok(())
}
