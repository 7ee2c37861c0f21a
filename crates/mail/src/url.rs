//! The URL of a mail server: what it asks for, and its form without the password.

use std::net::IpAddr;

use crate::Error;

/// How a conversation is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// From the first byte on.
    Implicit,
    /// By STARTTLS, or not at all.
    Required,
    /// By STARTTLS where the server offers it.
    Offered,
    /// Never.
    None,
}

/// The parts of `smtp(s)://user:password@host:port?tls=…` that decide how a server is talked to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl<'a> {
    pub(crate) encryption: Encryption,
    pub(crate) host: &'a str,
    /// The whole without `?tls=…`.
    pub(crate) plain: &'a str,
}

/// Reads the URL. `smtp` means STARTTLS or nothing, except on this machine, where it means plain; `?tls=` says otherwise.
///
/// # Errors
/// [`Error::Url`]; also where a password would travel unencrypted to another machine.
pub(crate) fn parse(url: &str) -> Result<ServerUrl<'_>, Error> {
    let wrong = |reason: &str| Error::Url(reason.to_owned());
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| wrong("write outbox:, smtp://host:port or smtps://host:port"))?;
    let (plain, query) = url.split_once('?').map_or((url, ""), |(plain, query)| (plain, query));
    let authority = authority(rest);
    let (login, place) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(login, place)| (Some(login), place));
    let host = host(place);
    if host.is_empty() {
        return Err(wrong("it names no host"));
    }
    let encryption = match (scheme, query) {
        ("smtps", "") => Encryption::Implicit,
        ("smtp", "") if is_local(host) => Encryption::None,
        ("smtp", "" | "tls=required") => Encryption::Required,
        ("smtp", "tls=opportunistic") => Encryption::Offered,
        ("smtp", "tls=none") => Encryption::None,
        ("smtp" | "smtps", _) => {
            return Err(wrong(
                "after ? only tls=required, tls=opportunistic or tls=none may stand",
            ));
        }
        _ => return Err(wrong("only outbox:, smtp:// and smtps:// are known")),
    };
    if login.is_some() && matches!(encryption, Encryption::Offered | Encryption::None) && !is_local(host) {
        return Err(wrong(
            "the password would travel unencrypted: use smtps:// or tls=required",
        ));
    }
    Ok(ServerUrl {
        encryption,
        host,
        plain,
    })
}

fn authority(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    &rest[..end]
}

fn host(place: &str) -> &str {
    match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => place.rsplit_once(':').map_or(place, |(host, _)| host),
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The URL as people may see it.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match authority(rest).rsplit_once('@') {
        None => url.to_owned(),
        Some((login, _)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            let after = rest.get(login.len()..).unwrap_or_default();
            format!("{scheme}://{user}:\u{2022}\u{2022}\u{2022}\u{2022}{after}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how_a_server_is_talked_to() {
        for (url, host, encryption) in [
            (
                "smtps://a:b@mail.example.com:465",
                "mail.example.com",
                Encryption::Implicit,
            ),
            ("smtp://mail.example.com", "mail.example.com", Encryption::Required),
            (
                "smtp://a:b@mail.example.com:587",
                "mail.example.com",
                Encryption::Required,
            ),
            ("smtp://mail:25?tls=opportunistic", "mail", Encryption::Offered),
            ("smtp://127.0.0.1:2525", "127.0.0.1", Encryption::None),
            ("smtp://a:b@localhost:2525", "localhost", Encryption::None),
            ("smtp://[::1]:2525", "::1", Encryption::None),
            ("smtp://127.0.0.1:2525?tls=required", "127.0.0.1", Encryption::Required),
            ("smtp://mailcatcher:1025?tls=none", "mailcatcher", Encryption::None),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!((parsed.host, parsed.encryption), (host, encryption), "{url}");
        }
    }

    #[test]
    fn a_url_that_does_not_stand_or_would_show_a_password_is_refused() {
        for url in [
            "smtp:",
            "http://mail",
            "smtp://",
            "smtp://:25",
            "smtp://a:b@mail.example.com?tls=none",
            "smtp://a:b@mail.example.com?tls=opportunistic",
            "smtp://mail?tls=maybe",
        ] {
            assert!(matches!(parse(url), Err(Error::Url(_))), "{url}");
        }
    }

    #[test]
    fn passwords_are_masked() {
        for url in [
            "smtp://ann:hunter2@mail:25/x",
            "smtps://ann:hun@hunter2@mail",
            "smtp://ann:hunter2@mail",
        ] {
            let shown = masked(url);
            assert!(
                !shown.contains("hun") && shown.contains("ann:") && shown.contains("@mail"),
                "{shown}"
            );
        }
        assert_eq!(masked("outbox:"), "outbox:");
        assert_eq!(masked("smtp://mail:25"), "smtp://mail:25");
    }
}
