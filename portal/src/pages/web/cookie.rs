//! Cookies: read from a request, written with the flags that their transport allows.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// Whether browsers reach the portal over https.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// The public URL is http: development on one machine.
    Http,
    /// The public URL is https: cookies carry `Secure` and the prefix `__Host-`.
    Https,
}

/// What a cookie holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The secret of a session.
    Session,
    /// What forms of visitors who are not signed in are bound to.
    Form,
    /// `light` or `dark`.
    Theme,
    /// The current organisation.
    Organisation,
    /// The reader's time zone.
    Zone,
    /// Shows that this browser signed up.
    SignUp,
}

impl Cookie {
    const fn plain_name(self) -> &'static str {
        match self {
            Self::Session => "tollgate_session",
            Self::Form => "tollgate_form",
            Self::Theme => "tollgate_theme",
            Self::Organisation => "tollgate_organisation",
            Self::Zone => "tollgate_zone",
            Self::SignUp => "tollgate_signup",
        }
    }

    /// Secrets only where nobody else can set them; the rest has a plain name, so that our script can write it.
    fn name(self, scheme: Scheme) -> String {
        match (self, scheme) {
            (Self::Session | Self::Form | Self::SignUp, Scheme::Https) => format!("__Host-{}", self.plain_name()),
            _ => self.plain_name().to_owned(),
        }
    }

    /// The value that a request carries.
    pub(crate) fn read(self, headers: &HeaderMap, scheme: Scheme) -> Option<String> {
        let name = self.name(scheme);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .filter(|value| !value.is_empty() && value.len() <= 200)
    }

    /// `Set-Cookie` for a value that lives so many seconds; 0 takes it away.
    pub(crate) fn write(self, scheme: Scheme, value: &str, seconds: u32) -> Option<HeaderValue> {
        let name = self.name(scheme);
        let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_the_host_prefix_and_all_flags_over_https() {
        let text = Cookie::Session.write(Scheme::Https, "abc", 60).unwrap();
        assert_eq!(
            text.to_str().unwrap(),
            "__Host-tollgate_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("x=1; tollgate_session=abc; y=2"));
        assert_eq!(Cookie::Session.read(&headers, Scheme::Http).as_deref(), Some("abc"));
        assert_eq!(Cookie::Session.read(&headers, Scheme::Https), None);
        assert_eq!(Cookie::Theme.read(&headers, Scheme::Http), None);
    }
}
