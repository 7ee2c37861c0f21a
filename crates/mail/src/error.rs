//! Why a mail is not sent.

/// Why a mail is not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the mail server does not stand.
    #[error("the URL of the mail server does not stand: {0}")]
    Url(String),
    /// The certificates of the authority cannot be read.
    #[error("the certificates of the mail server's authority cannot be read")]
    Authority(#[source] lettre::transport::smtp::Error),
    /// The sender is no address.
    #[error("the sender is not a mail address such as `Shop <shop@example.com>`")]
    Sender,
    /// The recipient is no address.
    #[error("the recipient is not a mail address")]
    Recipient,
    /// The subject holds control characters or is too long.
    #[error(
        "the subject holds control characters, nothing, or more than {} characters",
        crate::message::MAX_SUBJECT
    )]
    Subject,
    /// The parts cannot be put together.
    #[error("the mail cannot be put together")]
    Compose(#[source] lettre::error::Error),
    /// The outbox cannot be written.
    #[error("the outbox cannot be written")]
    Outbox(#[source] std::io::Error),
    /// The server refused it or cannot be reached.
    #[error("the mail server did not take it: {0}")]
    Smtp(#[source] lettre::transport::smtp::Error),
    /// The server took too long.
    #[error("the mail server took longer than {0} seconds")]
    Timeout(u64),
    /// Too many mails wait.
    #[error("too many mails wait to be sent")]
    Full,
    /// The mailer has stopped.
    #[error("the mailer has stopped")]
    Stopped,
}

impl Error {
    /// Whether the same mail may be taken later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Smtp(error) => !error.is_permanent() && !error.is_client(),
            Self::Outbox(_) | Self::Timeout(_) => true,
            Self::Url(_)
            | Self::Authority(_)
            | Self::Sender
            | Self::Recipient
            | Self::Subject
            | Self::Compose(_)
            | Self::Full
            | Self::Stopped => false,
        }
    }
}
