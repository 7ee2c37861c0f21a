//! The Admin API as the commands call it.
//!
//! Every failure says what to do next. The token goes to the server that was named and nowhere else: no redirect is
//! followed. Deliberately absent: retries, since an answer that is missing may hide a change that was made.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Environment;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8081";
const TIMEOUT: Duration = Duration::from_mins(5);
const LONGEST_ANSWER: u64 = 256 << 20;

/// Which server to talk to.
#[derive(Debug, Args)]
pub(crate) struct ServerOptions {
    /// Address of the portal; `TOLLGATE_SERVER` or `http://127.0.0.1:8081` unless set.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Token of the Admin API; `TOLLGATE_TOKEN` unless set.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No token was given.
    #[error(
        "no token for {0}\nset TOLLGATE_TOKEN or --token; the first admin's token is printed at the first start and stands in the file first-admin of the data directory"
    )]
    NoToken(String),
    /// The server's address is none.
    #[error("{0} is not the address of a server: write http:// or https:// and a host, such as http://127.0.0.1:8081")]
    Address(String),
    /// Nobody answers.
    #[error(
        "cannot reach {server}: {reason}\nstart the platform with `tollgate serve` or `tollgate demo`, or name it with --server or TOLLGATE_SERVER"
    )]
    Away { server: String, reason: String },
    /// The server refuses.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// What answers is no Tollgate.
    #[error(
        "{server} answered {status}, but not as the Admin API does: check --server, which is the address of the portal (8081), not of the gateway"
    )]
    Foreign { server: String, status: u16 },
}

/// An error as the server tells it: RFC 9457.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) status: u16,
    pub(crate) detail: Option<String>,
    pub(crate) instance: Option<String>,
    #[serde(default)]
    pub(crate) errors: Vec<Fault>,
}

/// One place that is wrong.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Fault {
    pub(crate) pointer: Option<String>,
    pub(crate) parameter: Option<String>,
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server refuses ({} {})", self.status, self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        for fault in &self.errors {
            let place = fault
                .pointer
                .as_deref()
                .or(fault.parameter.as_deref())
                .unwrap_or_default();
            write!(f, "\n{place}: {}", fault.detail)?;
        }
        match self.status {
            401 => write!(
                f,
                "\nthe token is unknown, revoked or expired: set TOLLGATE_TOKEN or --token to a valid one"
            ),
            403 => write!(f, "\nuse a token with the scope that is named above"),
            500.. => write!(
                f,
                "\nlook into the server's log for {}",
                self.instance.as_deref().unwrap_or("the request")
            ),
            _ => Ok(()),
        }
    }
}

/// A server and the right to use it.
#[derive(Debug)]
pub(crate) struct Client {
    server: String,
    authorization: String,
    agent: ureq::Agent,
}

impl ServerOptions {
    /// The server that the options or the environment name.
    ///
    /// # Errors
    /// [`Error::Address`] or [`Error::NoToken`].
    pub(crate) fn client(&self, environment: &Environment) -> Result<Client, Error> {
        let given = |flag: &Option<String>, name| flag.clone().or_else(|| environment.get(name).map(str::to_owned));
        let server = given(&self.server, "TOLLGATE_SERVER").unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let server = server.trim().trim_end_matches('/').to_owned();
        let host = server
            .strip_prefix("http://")
            .or_else(|| server.strip_prefix("https://"));
        let Some(host) = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) else {
            return Err(Error::Address(server));
        };
        let token = given(&self.token, "TOLLGATE_TOKEN").map(|token| token.trim().to_owned());
        let Some(token) = token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
        else {
            return Err(Error::NoToken(server));
        };
        let local = ["127.", "localhost", "[::1]"]
            .iter()
            .any(|local| host.starts_with(local));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(TIMEOUT));
        // A proxy for the world has no business between two processes of one machine.
        let config = if local { config.proxy(None) } else { config };
        let authorization = format!("Bearer {token}");
        Ok(Client {
            server,
            authorization,
            agent: config.build().new_agent(),
        })
    }
}

impl Client {
    /// `GET` below `/api/v1`.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn get(&self, path: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .get(self.url(path))
            .header("authorization", &self.authorization);
        self.answer(request.call())
    }

    /// `PUT` below `/api/v1`.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) fn put(&self, path: &str, body: &impl serde::Serialize) -> Result<Value, Error> {
        let request = self
            .agent
            .put(self.url(path))
            .header("authorization", &self.authorization);
        self.answer(request.send_json(body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    fn answer(&self, outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Error> {
        let away = |error: ureq::Error| Error::Away {
            server: self.server.clone(),
            reason: error.to_string(),
        };
        let mut response = outcome.map_err(away)?;
        let status = response.status().as_u16();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_vec()
            .map_err(away)?;
        let foreign = |_| Error::Foreign {
            server: self.server.clone(),
            status,
        };
        if (200..300).contains(&status) {
            return serde_json::from_slice(&bytes).map_err(foreign);
        }
        let problem: Problem = serde_json::from_slice(&bytes).map_err(foreign)?;
        // A gateway answers in the same form, about a route that it does not have.
        if problem.title.is_empty() || problem.kind.ends_with("/no-route") {
            return Err(Error::Foreign {
                server: self.server.clone(),
                status,
            });
        }
        Err(Error::Refused(Box::new(Problem { status, ..problem })))
    }
}
