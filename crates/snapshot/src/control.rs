//! The line from a gateway to the control plane of another process: HTTP with a token, over TLS with an authority and a
//! certificate of our own where they are set. Blocking: it is used on threads that serve nobody.

use std::io::BufReader;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// A control plane that holds a question longer than this is away.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// Where the control plane is.
#[derive(Clone)]
pub struct Settings {
    /// `https://control.example:8081`, without a path.
    pub url: String,
    /// A token of scope `gateways:connect`.
    pub token: String,
    /// Authorities (PEM) that it is verified against; the public ones unless given.
    pub ca: Option<Vec<u8>>,
    /// Chain and key (PEM) that this gateway shows.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why the control plane did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings do not stand.
    #[error("{0}")]
    Settings(String),
    /// It cannot be reached.
    #[error("the control plane at {url} is away")]
    Away {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// It refuses.
    #[error("the control plane at {url} answers {status}{}", remedy(*status))]
    Refused {
        /// Where.
        url: String,
        /// Its status.
        status: u16,
    },
}

const fn remedy(status: u16) -> &'static str {
    match status {
        401 => ": control.token is not known there; make one of scope gateways:connect",
        403 => ": control.token lacks the scope gateways:connect, or is bound to an account",
        404 => ": is control.url the portal of a version that feeds gateways?",
        _ => "",
    }
}

/// The line. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Control {
    url: String,
    authorization: String,
    agent: ureq::Agent,
}

impl Control {
    /// A line; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] names what cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let bad = |what: &str| Error::Settings(what.to_owned());
        let url = settings.url.trim_end_matches('/').to_owned();
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']));
        let host = host.ok_or_else(|| bad("control.url: write http://host:port or https://host:port"))?;
        let printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable(&settings.token) {
            return Err(bad("control.token: a token of scope gateways:connect is needed"));
        }
        let local = ["127.", "localhost", "[::1]"].iter().any(|name| host.starts_with(name));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECTS_WITHIN))
            .timeout_global(Some(ANSWERS_WITHIN))
            .tls_config(tls(settings)?);
        // A proxy for the world has no business between two processes of one machine.
        let config = if local { config.proxy(None) } else { config };
        Ok(Self {
            url,
            authorization: format!("Bearer {}", settings.token),
            agent: config.build().new_agent(),
        })
    }

    /// `GET` below `/api/v1`; `None` for an answer without content.
    ///
    /// # Errors
    /// [`Error`]; the same call can be repeated.
    pub fn get(&self, path: &str) -> Result<Option<impl std::io::BufRead + use<>>, Error> {
        let request = self
            .agent
            .get(self.at(path))
            .header("authorization", &self.authorization);
        let answer = self.checked(request.call())?;
        let empty = answer.status().as_u16() == 204;
        Ok((!empty).then(|| BufReader::new(answer.into_body().into_reader())))
    }

    /// `PUT` of JSON below `/api/v1`; the answer as text.
    ///
    /// # Errors
    /// As [`Control::get`].
    pub fn put(&self, path: &str, body: &impl serde::Serialize) -> Result<String, Error> {
        let request = self
            .agent
            .put(self.at(path))
            .header("authorization", &self.authorization);
        let mut answer = self.checked(request.send_json(body))?;
        answer.body_mut().read_to_string().map_err(|source| self.away(source))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.url)
    }

    fn away(&self, source: ureq::Error) -> Error {
        Error::Away {
            url: self.url.clone(),
            source: Box::new(source),
        }
    }

    fn checked(
        &self,
        outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, Error> {
        let answer = outcome.map_err(|source| self.away(source))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(Error::Refused {
            url: self.url.clone(),
            status,
        })
    }
}

fn tls(settings: &Settings) -> Result<TlsConfig, Error> {
    let mut config = TlsConfig::builder();
    if let Some(pem) = &settings.ca {
        let authorities = certificates(pem, "control.tls.ca")?;
        config = config.root_certs(RootCerts::new_with_certs(&authorities));
    }
    if let Some((chain, key)) = &settings.identity {
        let chain = certificates(chain, "control.tls.cert")?;
        let key = PrivateKey::from_pem(key)
            .map_err(|error| Error::Settings(format!("control.tls.key: not a PEM key: {error}")))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<Certificate<'static>>, Error> {
    let found: Vec<_> = ureq::tls::parse_pem(pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Error::Settings(format!("{key}: no PEM certificate in it")));
    }
    Ok(found)
}
