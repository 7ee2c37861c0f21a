//! Bounds on tries of strangers: for each address, and for each network that they come from.
//!
//! Invariant: whether an address is known makes no difference to what is counted or answered.

use std::net::IpAddr;

use domain::key::KeyHash;
use store::AttemptLimit;

use crate::app::App;
use crate::http::problem::Problem;

/// How far tries count.
pub(crate) const WINDOW_MS: i64 = 15 * 60_000;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// A password; only wrong ones stay counted.
    LogIn,
    /// Making an account.
    SignUp,
    /// Asking for a mail: reset, verification.
    Mail,
}

impl Try {
    const fn name(self) -> &'static str {
        match self {
            Self::LogIn => "login",
            Self::SignUp => "signup",
            Self::Mail => "mail",
        }
    }

    /// Tries for one address.
    const fn of_address(self) -> u32 {
        match self {
            Self::LogIn => 10,
            Self::SignUp | Self::Mail => 5,
        }
    }

    /// Tries for one network. Many people sign up from one office.
    const fn of_network(self) -> u32 {
        match self {
            Self::LogIn => 10,
            Self::SignUp | Self::Mail => 30,
        }
    }
}

/// A try that was counted.
#[derive(Debug)]
pub(crate) struct Counted {
    kind: &'static str,
    subjects: Vec<KeyHash>,
    at: domain::clock::Timestamp,
}

/// Counts a try. `Err` holds the seconds to wait when there were too many.
///
/// # Errors
/// When the store fails.
pub(crate) async fn count(
    app: &App,
    what: Try,
    email: &str,
    from: Option<&str>,
) -> Result<Result<Counted, u64>, Problem> {
    let now = app.clock.now();
    let limit = |subject, max| AttemptLimit {
        subject,
        max,
        window_ms: WINDOW_MS,
    };
    let mut limits = vec![limit(
        subject("address", &email.trim().to_lowercase()),
        what.of_address(),
    )];
    limits.extend(
        from.and_then(network)
            .map(|network| limit(subject("network", &network), what.of_network())),
    );
    let free_at = app.store.attempt(what.name(), &limits, now).await?;
    Ok(match free_at {
        Some(at) => Err(u64::try_from(at.millis_since(now)).unwrap_or(0).div_ceil(1_000).max(1)),
        None => Ok(Counted {
            kind: what.name(),
            subjects: limits.iter().map(|limit| limit.subject).collect(),
            at: now,
        }),
    })
}

impl Counted {
    /// The try was no guess: forgets those of the address, and this one of the network.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn forgive(self, app: &App) -> Result<(), Problem> {
        for (index, subject) in self.subjects.into_iter().enumerate() {
            let since = if index == 0 {
                self.at.plus_millis(-WINDOW_MS)
            } else {
                self.at
            };
            app.store.forget_attempts(self.kind, subject, since).await?;
        }
        Ok(())
    }
}

fn subject(kind: &str, text: &str) -> KeyHash {
    domain::key::hash(format!("{kind} {text}").as_bytes())
}

/// The network that an address is counted with: its /24, or its /56.
fn network(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{:x}::/56", d & 0xff00))
        }
    }
}

/// How long to wait, for people.
pub(crate) fn wait_text(seconds: u64) -> String {
    match seconds {
        0..=1 => "1 second".to_owned(),
        2..=119 => format!("{seconds} seconds"),
        _ => format!("{} minutes ({seconds} seconds)", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_counted_together() {
        assert_eq!(network("203.0.113.9"), network("203.0.113.250"));
        assert_eq!(network("::ffff:203.0.113.9"), network("203.0.113.1"));
        assert_ne!(network("203.0.114.9"), network("203.0.113.9"));
        assert_eq!(network("2001:db8:1:1201::1"), network("2001:db8:1:12ff:ffff::1"));
        assert_ne!(network("2001:db8:1:1301::1"), network("2001:db8:1:12ff::1"));
        assert_eq!(network("nobody"), None);
    }
}
