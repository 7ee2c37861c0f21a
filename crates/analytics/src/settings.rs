//! Where analytics live and what they may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{Url, form_urlencoded};

use crate::error::Error;

/// What an engine is held to. The embedded one needs none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster of `ON CLUSTER`; tables are replicated where it is given.
    pub cluster: Option<String>,
    /// Days that the server itself keeps facts, should [`crate::Analytics::purge`] never run. A purge that keeps more
    /// lengthens it.
    pub evidence_days: u32,
    /// What one query may take; then it fails with [`Error::TooMuch`].
    pub query_time: Duration,
    /// Memory that the server gives one query, in bytes; then it fails with [`Error::TooMuch`].
    pub query_memory: u64,
    /// How many insertions the server remembers by their tokens. It guards against one that is still under way; what is
    /// in already is known without it.
    pub remembered: u32,
    /// Authorities to trust, in PEM, instead of the public ones.
    pub tls_ca: Option<PathBuf>,
    /// Batches go in without a look at what is in: for the control runs of fault tests.
    #[cfg(feature = "testing")]
    pub blind: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster: None,
            evidence_days: 100,
            query_time: Duration::from_secs(20),
            query_memory: 2 << 30,
            remembered: 10_000,
            tls_ca: None,
            #[cfg(feature = "testing")]
            blind: false,
        }
    }
}

impl Settings {
    /// Checks what becomes part of a statement.
    ///
    /// # Errors
    /// [`Error::Cluster`] when the cluster's name is none.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fits = |name: &String| {
            let known = |c: char| c.is_ascii_alphanumeric() || "_-.{}".contains(c);
            !name.is_empty() && name.chars().all(known)
        };
        if self.cluster.iter().all(fits) {
            Ok(())
        } else {
            Err(Error::Cluster)
        }
    }
}

/// A ClickHouse server and a database of it. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

const HTTP: &str = "clickhouse+http";
const HTTPS: &str = "clickhouse+https";

impl Server {
    /// Reads `clickhouse+http(s)://user:password@host:port/database`. User `default` without a password, the ports 8123
    /// and 8443 and the database `tollgate` may be left out; special characters of user and password are
    /// percent-encoded.
    ///
    /// # Errors
    /// [`Error::Url`] with what is wrong, and without the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Url { reason };
        let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
        let (scheme, port) = match url.scheme() {
            HTTP => ("http", 8123),
            HTTPS => ("https", 8443),
            _ => return Err(wrong("the scheme is neither clickhouse+http nor clickhouse+https")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("it names no host"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("nothing may follow the database"));
        }
        let database = match url.path().trim_matches('/') {
            "" => "tollgate",
            name => name,
        };
        let first = database.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first || !database.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(wrong("the database is not a name of letters, digits and underscores"));
        }
        Ok(Self {
            address: format!("{scheme}://{host}:{}", url.port().unwrap_or(port)),
            user: Some(decoded(url.username()))
                .filter(|user| !user.is_empty())
                .unwrap_or_else(|| "default".to_owned()),
            password: url.password().map(decoded).unwrap_or_default(),
            database: database.to_owned(),
        })
    }

    /// A text of the server's with the password taken out, cut to what a log can bear.
    pub(crate) fn masked(&self, text: &str) -> String {
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if self.password.is_empty() {
            line
        } else {
            line.replace(&self.password, "***")
        };
        line.chars().take(300).collect()
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let literal = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let mut pairs = form_urlencoded::parse(literal.as_bytes());
    pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mask = if self.password.is_empty() { "" } else { ":***" };
        let (scheme, rest) = self.address.split_once("://").unwrap_or(("http", &self.address));
        write!(f, "clickhouse+{scheme}://{}{mask}@{rest}/{}", self.user, self.database)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_its_defaults_and_shown_without_its_password() {
        let server = Server::parse("clickhouse+https://tolly:p%40ss+w%2Ford=&@ch.example/usage").unwrap();
        assert_eq!(server.address, "https://ch.example:8443");
        assert_eq!(
            (server.user.as_str(), server.password.as_str()),
            ("tolly", "p@ss+w/ord=&")
        );
        for shown in [format!("{server}"), format!("{server:?}")] {
            assert_eq!(shown, "clickhouse+https://tolly:***@ch.example:8443/usage");
        }
        let plain = Server::parse("clickhouse+http://[::1]").unwrap();
        assert_eq!(plain.to_string(), "clickhouse+http://default@[::1]:8123/tollgate");
    }

    #[test]
    fn a_wrong_url_is_named_without_its_password() {
        for (text, reason) in [
            ("clickhouse://u:secret@h/d", "scheme"),
            ("clickhouse+http://u:secret@h:port/d", "no URL"),
            ("clickhouse+http://u:secret@h/d-1", "database"),
            ("clickhouse+http://u:secret@h/d;drop", "database"),
            ("clickhouse+http://u:secret@h/d/e", "database"),
            ("clickhouse+http://u:secret@h/d?x=1", "follow"),
        ] {
            let error = Server::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_text_of_the_server_loses_the_password() {
        let server = Server::parse("clickhouse+http://u:hunter2@h/d").unwrap();
        assert_eq!(server.masked("no\nuser with hunter2"), "no user with ***");
    }

    #[test]
    fn a_cluster_is_a_name() {
        let named = |name: &str| Settings {
            cluster: Some(name.to_owned()),
            ..Settings::default()
        };
        assert!(named("{cluster}").check().is_ok());
        assert!(named("a' SYNC").check().is_err());
    }
}
