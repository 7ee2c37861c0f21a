//! Where settings come from: defaults, the file, the environment, flags. Later ones win.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;
use super::keys::{KEYS, find, nearest};

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value as text and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The variables of the process whose names begin with `TOLLGATE_`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// Variables that are not keys of the configuration.
const OTHER_VARIABLES: &[&str] = &[
    "TOLLGATE_SERVER",
    "TOLLGATE_TOKEN",
    "TOLLGATE_ADMIN_TOKEN",
    "TOLLGATE_ADMIN_EMAIL",
    "TOLLGATE_ADMIN_PASSWORD",
    "TOLLGATE_OPENAPI_CORPUS",
    "TOLLGATE_AXE",
    "TOLLGATE_SCREENSHOTS",
    "TOLLGATE_CONFIG",
];

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        Self(
            std::env::vars()
                .filter(|(name, _)| name.starts_with("TOLLGATE_"))
                .collect(),
        )
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    /// A variable's value when it is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the test clock is switched on.
    pub(crate) fn test_clock(&self) -> bool {
        self.get("TOLLGATE_TEST_CLOCK") == Some("1")
    }
}

/// Gathers every key's setting from the defaults, the file, the environment and flags.
///
/// # Errors
/// A file that cannot be read or is not TOML, or a key that nobody knows.
pub(crate) fn gather(
    file: Option<&Path>,
    environment: &Environment,
    flags: &[(&'static str, &'static str, String)],
) -> Result<BTreeMap<&'static str, Setting>, Error> {
    let mut settings: BTreeMap<_, _> = KEYS
        .iter()
        .map(|key| {
            (
                key.name,
                Setting {
                    text: key.default.to_owned(),
                    origin: Origin::Default,
                },
            )
        })
        .collect();
    if let Some(path) = file {
        from_file(path, &mut settings)?;
    }
    from_environment(environment, &mut settings)?;
    for (name, flag, value) in flags {
        settings.insert(
            name,
            Setting {
                text: value.clone(),
                origin: Origin::Flag(flag),
            },
        );
    }
    Ok(settings)
}

fn from_file(path: &Path, settings: &mut BTreeMap<&'static str, Setting>) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| Error::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    let mut flat = Vec::new();
    flatten("", &table, &mut flat);
    for (name, text) in flat {
        let origin = Origin::File(path.to_owned());
        let Some(key) = find(&name) else {
            let nearest = nearest(&name, KEYS.iter().map(|key| key.name)).map(str::to_owned);
            return Err(Error::UnknownKey {
                origin,
                key: name,
                nearest,
            });
        };
        settings.insert(key.name, Setting { text, origin });
    }
    Ok(())
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, out),
            toml::Value::String(text) => out.push((name, text.clone())),
            toml::Value::Array(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect();
                out.push((name, items.join(",")));
            }
            other => out.push((name, other.to_string())),
        }
    }
}

fn from_environment(environment: &Environment, settings: &mut BTreeMap<&'static str, Setting>) -> Result<(), Error> {
    for (name, value) in &environment.0 {
        if OTHER_VARIABLES.contains(&name.as_str()) || name.starts_with("TOLLGATE_TEST_") {
            continue;
        }
        let Some(key) = KEYS.iter().find(|key| key.variable() == *name) else {
            let known: Vec<_> = KEYS.iter().map(super::keys::Key::variable).collect();
            let nearest = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            return Err(Error::UnknownKey {
                origin: Origin::Variable(name.clone()),
                key: name.clone(),
                nearest,
            });
        };
        settings.insert(
            key.name,
            Setting {
                text: value.clone(),
                origin: Origin::Variable(name.clone()),
            },
        );
    }
    Ok(())
}
