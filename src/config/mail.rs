//! Mail: where mails go and who they come from.

use std::net::IpAddr;
use std::path::Path;

use super::value::Values;
use super::{Config, Error};

impl Config {
    /// What the mailer is started with.
    ///
    /// # Errors
    /// A URL, sender or authority that does not stand.
    pub(super) fn mail(values: &Values<'_>, data_dir: &Path, portal_url: &str) -> Result<mail::Settings, Error> {
        let url = values.text("mail.url");
        let from = values.text("mail.from");
        if from.is_empty() && !url.starts_with("outbox:") {
            return Err(Error::Together(
                "mail.url names a mail server and mail.from is not set: say who mails come from".to_owned(),
            ));
        }
        let authority = match values.path("mail.tls.ca") {
            None => None,
            Some(path) => Some(std::fs::read(&path).map_err(|source| Error::Read { path, source })?),
        };
        let settings = mail::Settings {
            url: url.to_owned(),
            from: Some(from.to_owned())
                .filter(|from| !from.is_empty())
                .unwrap_or_else(|| default_sender(portal_url)),
            outbox: data_dir.join("outbox"),
            authority,
            retry: mail::Retry::default(),
        };
        settings.check().map_err(|error| {
            let key = match error {
                mail::Error::Sender => "mail.from",
                mail::Error::Authority(_) => "mail.tls.ca",
                _ => "mail.url",
            };
            values.wrong(key, error.to_string())
        })?;
        Ok(settings)
    }
}

/// Mails of an outbox need a sender too; nobody gets them.
fn default_sender(portal_url: &str) -> String {
    let rest = portal_url.split_once("://").map_or(portal_url, |(_, rest)| rest);
    let place = rest.split('/').next().unwrap_or_default();
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<IpAddr>().is_err();
    format!("no-reply@{}", if is_name { host } else { "localhost" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_of_an_outbox_follows_the_public_address() {
        for (url, sender) in [
            ("https://developers.example.com", "no-reply@developers.example.com"),
            ("http://portal.test:8081/x", "no-reply@portal.test"),
            ("http://127.0.0.1:8081", "no-reply@localhost"),
            ("http://[::1]:8081", "no-reply@localhost"),
        ] {
            assert_eq!(default_sender(url), sender);
        }
    }
}
