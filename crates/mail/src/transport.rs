//! How a mail leaves: to a server, or into a directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::message::Letter;
use crate::outbox;
use crate::url::{self, Encryption};
use crate::{Error, Settings};

/// Each step of a conversation.
const STEP: Duration = Duration::from_secs(15);
/// The whole of it.
const WHOLE: Duration = Duration::from_mins(1);

/// How mails leave. Clones share it.
#[derive(Clone)]
pub(crate) enum Transport {
    /// One file a mail.
    Outbox(PathBuf),
    /// To a server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Outbox(path) => write!(f, "Outbox({})", path.display()),
            // It holds the login.
            Self::Smtp(_) => f.write_str("Smtp(…)"),
        }
    }
}

impl Transport {
    pub(crate) fn open(settings: &Settings) -> Result<Self, Error> {
        match settings.url.strip_prefix("outbox:") {
            Some("") => Ok(Self::Outbox(settings.outbox.clone())),
            Some(directory) => Ok(Self::Outbox(Path::new(directory).to_owned())),
            None => smtp(settings),
        }
    }

    /// Sends once.
    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), Error> {
        match self {
            Self::Outbox(directory) => outbox::write(directory, letter).await.map_err(Error::Outbox),
            Self::Smtp(server) => {
                let sent = tokio::time::timeout(WHOLE, server.send(letter.message.clone())).await;
                match sent {
                    Err(_) => Err(Error::Timeout(WHOLE.as_secs())),
                    Ok(answer) => answer.map(drop).map_err(Error::Smtp),
                }
            }
        }
    }
}

fn smtp(settings: &Settings) -> Result<Transport, Error> {
    let parsed = url::parse(&settings.url)?;
    // Its own texts could quote the URL with the password.
    let refused = |_| Error::Url("host, port, user or password cannot be read".to_owned());
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(parsed.plain).map_err(refused)?;
    let tls = || {
        let mut parameters = TlsParameters::builder(parsed.host.to_owned());
        if let Some(pem) = &settings.authority {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(Error::Authority)?);
        }
        parameters.build().map_err(Error::Authority)
    };
    let tls = match parsed.encryption {
        Encryption::Implicit => Tls::Wrapper(tls()?),
        Encryption::Required => Tls::Required(tls()?),
        Encryption::Offered => Tls::Opportunistic(tls()?),
        Encryption::None => Tls::None,
    };
    Ok(Transport::Smtp(builder.tls(tls).timeout(Some(STEP)).build()))
}
