//! Statements in pieces, and what the server answers when they fail.

use ::clickhouse::Client;
use ::clickhouse::error::Error as Failure;
use ::clickhouse::query::Query;
use domain::clock::Timestamp;
use domain::usage::ProducerId;

use crate::error::Error;
use crate::settings::Server;

/// A statement in the making. Texts become escaped literals; numbers and words of our own are written as they are.
#[derive(Debug, Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<String>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Adds words of our own; never anything from outside.
    pub(super) fn push(&mut self, words: &str) -> &mut Self {
        self.text.push_str(words);
        self
    }

    /// Adds a text from anywhere.
    pub(super) fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.text.push('?');
        self.values.push(value.into());
        self
    }

    pub(super) fn number(&mut self, value: impl Into<i128>) -> &mut Self {
        self.text.push_str(&value.into().to_string());
        self
    }

    pub(super) fn producer(&mut self, producer: ProducerId) -> &mut Self {
        // As text: a literal beyond 64 bits would be read as a float.
        self.text.push_str(&format!("toUInt128('{}')", producer.0));
        self
    }

    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.millis(time.as_millis())
    }

    pub(super) fn millis(&mut self, millis: i64) -> &mut Self {
        self.text
            .push_str(&format!("fromUnixTimestamp64Milli(toInt64({millis}), 'UTC')"));
        self
    }

    /// `column` from the first instant to before the second one.
    pub(super) fn within(&mut self, column: &str, from: i64, to: i64) -> &mut Self {
        self.push(column).push(" >= ").millis(from);
        self.push(" AND ").push(column).push(" < ").millis(to)
    }

    /// The same with words of our own before it.
    pub(super) fn after(&self, words: &str) -> Self {
        Self {
            text: format!("{words}{}", self.text),
            values: self.values.clone(),
        }
    }

    /// The statement for a server.
    pub(super) fn on(self, client: &Client) -> Query {
        let query = client.query(&self.text);
        self.values.into_iter().fold(query, Query::bind)
    }
}

/// What a failure of the client or the server means.
pub(super) fn error(server: &Server, failure: &Failure) -> Error {
    let text = server.masked(&chain(failure));
    match failure {
        Failure::BadResponse(_) => answered(text),
        Failure::Network(_) | Failure::TimedOut => Error::Away(text),
        _ => Error::Corrupt(text),
    }
}

/// An error with its causes: a network's failure alone says little.
fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

fn code(text: &str) -> Option<u32> {
    text.split("Code: ").nth(1)?.split('.').next()?.trim().parse().ok()
}

/// The codes are those of ClickHouse's `ErrorCodes.cpp`.
fn answered(text: String) -> Error {
    let Some(code) = code(&text) else {
        // Something before the server answered: a proxy, a balancer.
        return Error::Away(text);
    };
    match code {
        159 | 160 => Error::TooMuch { what: "time" },
        // The memory of the whole server is another matter than that of one question.
        241 if !text.contains("(total)") => Error::TooMuch { what: "memory" },
        158 | 307 | 396 => Error::TooMuch { what: "rows" },
        // Busy, shutting down, read-only for now, or its own network or Keeper is away.
        202 | 203 | 209 | 210 | 236 | 241 | 242 | 252 | 279 | 285 | 286 | 289 | 319 | 394 | 425 | 439 | 999 => {
            Error::Away(text)
        }
        code => Error::Refused { code, message: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(text: &str) -> Error {
        let server = Server::parse("clickhouse+http://u:hunter2@h/d").unwrap();
        error(&server, &Failure::BadResponse(text.to_owned()))
    }

    #[test]
    fn the_servers_codes_say_who_can_help() {
        let slow = means("Code: 159. DB::Exception: Timeout exceeded: elapsed 1.0 seconds. (TIMEOUT_EXCEEDED)");
        assert_eq!(
            slow.to_string(),
            "the question needs more time than it may take: narrow its range or its filter"
        );
        let memory =
            means("Code: 241. DB::Exception: Query memory limit exceeded: would use 2 GiB. (MEMORY_LIMIT_EXCEEDED)");
        assert!(matches!(memory, Error::TooMuch { what: "memory" }) && !memory.is_retryable());
        let server = means("Code: 241. DB::Exception: (total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)");
        assert!(server.is_retryable());
        assert!(means("502 Bad Gateway").is_retryable());
        let refused = means("Code: 516. DB::Exception: u: Authentication failed with hunter2. (AUTHENTICATION_FAILED)");
        assert!(!refused.is_retryable());
        let text = refused.to_string();
        assert!(text.contains("516") && !text.contains("hunter2"), "{text}");
    }
}
