//! One mail: checked, then put together as a MIME message with two parts.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use domain::clock::Timestamp;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use crate::Error;

const MAX_ADDRESS: usize = 254;
/// Characters of a subject.
pub(crate) const MAX_SUBJECT: usize = 200;

/// Bytes of a line; RFC 5322 allows 998.
const MAX_LINE: usize = 990;

/// A mail to send.
#[derive(Clone)]
pub struct Mail {
    /// What it is, such as `verify`: the one thing about it that logs tell.
    pub kind: &'static str,
    /// The address that it goes to.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, which says the same.
    pub html: String,
    /// When it was written.
    pub at: Timestamp,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Whether a mail can be sent to this address, as far as its form tells.
///
/// # Errors
/// [`Error::Recipient`].
pub fn check_address(text: &str) -> Result<(), Error> {
    address(text).map(drop)
}

fn address(text: &str) -> Result<Address, Error> {
    let text = text.trim();
    if text.len() > MAX_ADDRESS || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(Error::Recipient);
    }
    text.parse().map_err(|_| Error::Recipient)
}

/// A mail put together, ready to be sent as often as it takes.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) kind: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) message: Message,
}

/// Who mails come from.
#[derive(Debug)]
pub(crate) struct Sender(Mailbox);

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            Some(name) => write!(f, "{name} <{}>", self.0.email),
            None => write!(f, "{}", self.0.email),
        }
    }
}

impl Sender {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.chars().any(char::is_control) {
            return Err(Error::Sender);
        }
        text.parse().map(Self).map_err(|_| Error::Sender)
    }

    /// Puts a mail together.
    pub(crate) fn compose(&self, mail: &Mail) -> Result<Letter, Error> {
        let to = address(&mail.to)?;
        let length = mail.subject.chars().count();
        if !(1..=MAX_SUBJECT).contains(&length) || mail.subject.chars().any(char::is_control) {
            return Err(Error::Subject);
        }
        let id = domain::key::secret("", domain::random::bytes());
        let message = Message::builder()
            .from(self.0.clone())
            .to(Mailbox::new(None, to))
            .date(wall(mail.at))
            .message_id(Some(format!("<{id}@{}>", self.0.email.domain())))
            .subject(mail.subject.clone())
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, mail.text.clone()))
                    .singlepart(part(ContentType::TEXT_HTML, in_ascii(&mail.html))),
            )
            .map_err(Error::Compose)?;
        Ok(Letter {
            kind: mail.kind,
            at: mail.at,
            message,
        })
    }
}

/// A part. Plain ASCII stays as it is, so that links in it are in one piece for whoever reads the bytes; the rest is encoded.
fn part(media: ContentType, text: String) -> SinglePart {
    let fits = text.is_ascii() && !text.contains('\0') && text.lines().all(|line| line.len() <= MAX_LINE);
    let body = if fits {
        let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
        Body::dangerous_pre_encoded(lines.into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    };
    SinglePart::builder().header(media).body(body)
}

fn wall(at: Timestamp) -> SystemTime {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// HTML with a reference in the place of each character beyond ASCII: it passes any server without being encoded again.
fn in_ascii(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for letter in html.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let _ = write!(text, "&#{};", u32::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            kind: "test",
            to: "ann@example.com".to_owned(),
            subject: "Bestätige deine Adresse".to_owned(),
            text: "Grüße\nhttp://127.0.0.1:8081/verify/abc".to_owned(),
            html: "<p>Grüße</p>".to_owned(),
            at: Timestamp::from_millis(1_781_517_600_000),
        }
    }

    fn composed(mail: &Mail) -> Result<String, Error> {
        let sender = Sender::parse("Fernpost GmbH <mail@fernpost.example>").unwrap();
        let letter = sender.compose(mail)?;
        Ok(String::from_utf8(letter.message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_has_two_parts_and_the_time_of_the_clock() {
        let text = composed(&mail()).unwrap();
        assert!(text.contains("Content-Type: multipart/alternative"), "{text}");
        assert!(text.contains("Content-Type: text/plain") && text.contains("Content-Type: text/html"));
        assert!(text.contains("Date: Mon, 15 Jun 2026 10:00:00 +0000"), "{text}");
        assert!(text.contains("@fernpost.example>"), "{text}");
        assert!(text.contains("<p>Gr&#252;&#223;e</p>"), "{text}");
        assert!(text.contains("Subject: =?utf-8?"), "{text}");
    }

    #[test]
    fn a_long_link_stays_in_one_piece_and_long_lines_are_encoded() {
        let link = format!("http://127.0.0.1:8081/verify/tgv_{}=", "a".repeat(120));
        let mail = Mail {
            text: format!("Confirm:\n{link}\n"),
            html: format!("<a href=\"{link}\">Confirm</a>"),
            ..mail()
        };
        let text = composed(&mail).unwrap();
        assert_eq!(text.matches(&link).count(), 2, "{text}");
        assert!(text.contains(&format!("Confirm:\r\n{link}\r\n")), "{text}");
        let mail = Mail {
            text: "x".repeat(2_000),
            html: "y\0".repeat(20),
            ..mail
        };
        assert!(composed(&mail).unwrap().lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn nothing_from_outside_ends_a_line_of_a_header() {
        for to in [
            "ann@example.com\r\nBcc: eve@example.com",
            "ann@example.com, eve@example.com",
            "ann@example.com\u{0}",
            "ann",
            "@example.com",
            "",
            "a b@example.com",
        ] {
            let mail = Mail {
                to: to.to_owned(),
                ..mail()
            };
            assert!(matches!(composed(&mail), Err(Error::Recipient)), "{to:?}");
            assert!(check_address(to).is_err());
        }
        for subject in ["Hello\r\nBcc: eve@example.com", "Hello\nX: y", "", "\u{7f}"] {
            let mail = Mail {
                subject: subject.to_owned(),
                ..mail()
            };
            assert!(matches!(composed(&mail), Err(Error::Subject)), "{subject:?}");
        }
        assert!(matches!(Sender::parse("a@example.com\r\nX: y"), Err(Error::Sender)));
        assert!(matches!(Sender::parse("nobody"), Err(Error::Sender)));
    }
}
