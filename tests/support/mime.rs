//! Mails as people see them: addresses, subject and text of a message in Internet Message Format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    pub headers: Vec<(String, String)>,
    pub subject: String,
    /// The part of type `text/plain`.
    pub text: String,
    /// The part of type `text/html`.
    pub html: String,
}

impl Mail {
    pub fn parse(message: &str) -> Self {
        let (headers, body) = split(message);
        let mut mail = Self::default();
        mail.take(&headers, body);
        mail.subject = words(&value(&headers, "subject"));
        mail.headers = headers;
        mail
    }

    pub fn header(&self, name: &str) -> String {
        value(&self.headers, name)
    }

    /// Whether it goes to this address.
    pub fn is_to(&self, address: &str) -> bool {
        self.header("to").to_lowercase().contains(&address.to_lowercase())
    }

    /// The first link in the text whose path begins like this.
    pub fn link(&self, path: &str) -> Option<String> {
        let starts = self.text.match_indices("http").map(|(at, _)| &self.text[at..]);
        let mut links = starts.map(|rest| {
            let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '"');
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        links.find(|link| {
            let behind = link.split("://").nth(1).unwrap_or_default();
            behind.find('/').is_some_and(|at| behind[at..].starts_with(path))
        })
    }

    fn take(&mut self, headers: &[(String, String)], body: &str) {
        let kind = value(headers, "content-type");
        if let Some(boundary) = parameter(&kind, "boundary") {
            for part in body.split(&format!("--{boundary}")).skip(1) {
                let (headers, body) = split(part.trim_start_matches(['\r', '\n']));
                self.take(&headers, body);
            }
            return;
        }
        let text = decoded(body, &value(headers, "content-transfer-encoding"));
        if kind.to_lowercase().starts_with("text/html") {
            self.html = text;
        } else if (kind.is_empty() || kind.to_lowercase().starts_with("text/plain")) && self.text.is_empty() {
            self.text = text;
        }
    }
}

/// Unfolded header fields, and the body.
fn split(message: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = message
        .split_once("\r\n\r\n")
        .or_else(|| message.split_once("\n\n"))
        .unwrap_or((message, ""));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    (headers, body)
}

fn value(headers: &[(String, String)], name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let all = value.split(';').skip(1).filter_map(|part| part.trim().split_once('='));
    let mut named = all.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim_matches('"').to_owned())
}

fn decoded(body: &str, encoding: &str) -> String {
    let bytes = match encoding.to_lowercase().as_str() {
        "base64" => unbase64(body),
        "quoted-printable" => unquote(&body.replace("=\r\n", "").replace("=\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unbase64(text: &str) -> Vec<u8> {
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(dense).unwrap_or_default()
}

fn unquote(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'=' => {
                out.push(byte);
                rest = &behind[2..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

/// Encoded words of a header field (RFC 2047).
fn words(value: &str) -> String {
    let (mut out, mut rest) = (String::new(), value);
    while let Some((before, behind)) = rest.split_once("=?") {
        let parts: Vec<&str> = behind.splitn(4, '?').collect();
        let [_, kind, text, after] = parts[..] else { break };
        let bytes = if kind.eq_ignore_ascii_case("b") {
            unbase64(text)
        } else {
            unquote(&text.replace('_', " "))
        };
        // White space between two encoded words is none of theirs.
        if !before.trim().is_empty() || out.is_empty() {
            out.push_str(before);
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        rest = after.strip_prefix('=').unwrap_or(after);
    }
    out + rest
}
