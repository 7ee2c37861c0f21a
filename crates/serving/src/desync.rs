//! Hostile and borderline requests from public research, for replay against
//! this codec or through a whole gateway.
//!
//! The facts come from the advisories and papers that each case names; the
//! bytes were written for this corpus. [`cases`] are told one by one what may
//! reach a service; [`mutations`] are generated, and are held to one rule: if
//! anything reaches the service, its body is exactly what `Content-Length`
//! said, and nothing in it reads like `Transfer-Encoding`.

mod chunks;
mod lengths;
mod lines;
mod mutate;

pub use mutate::mutations;

/// What may become of the bytes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection is closed after a refusal.
    Closed,
    /// The connection stays open: everything was valid.
    Open,
    /// The bytes are not complete; the server waits for more.
    Waits,
}

/// One input and its only acceptable outcome.
#[derive(Debug, Clone)]
pub struct Case {
    /// A name, unique in the corpus.
    pub name: String,
    /// Where the class of attack was published.
    pub source: &'static str,
    /// The bytes as a client sends them.
    pub wire: Vec<u8>,
    /// Requests that may reach the service whole: target and body, in order.
    pub reaches: Vec<(&'static str, Vec<u8>)>,
    /// What follows.
    pub then: Then,
}

impl Case {
    /// Nothing reaches the service.
    fn refused(name: impl Into<String>, source: &'static str, wire: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            source,
            wire: wire.into(),
            reaches: Vec::new(),
            then: Then::Closed,
        }
    }

    fn reaching(mut self, target: &'static str, body: &[u8]) -> Self {
        self.reaches.push((target, body.to_vec()));
        self
    }

    const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// A complete request that a correct server would answer, were it ever parsed.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// All cases that are told one by one.
pub fn cases() -> Vec<Case> {
    [lines::cases(), lengths::cases(), chunks::cases()].concat()
}

#[cfg(test)]
mod tests;
