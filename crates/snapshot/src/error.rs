//! Why an input is refused: always by the name of the object.

use domain::cycle::CycleError;
use domain::limit::LimitFault;
use domain::path::PathFault;
use domain::sealed::SealError;

/// What an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// `api`, `product`, `plan`, `meter`, `anonymous plan`, `subscription` or `key`.
    pub kind: &'static str,
    /// Its name, or its id where it has none.
    pub name: String,
}

impl Object {
    pub(crate) fn new(kind: &'static str, name: impl std::fmt::Display) -> Self {
        Self {
            kind,
            name: format!("{name}"),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A refused input. The previous snapshot stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {fault}")]
pub struct Error {
    /// The object that is wrong.
    pub object: Object,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The base path is not a canonical path.
    #[error("base path {path:?} is not usable: {fault}")]
    BasePath {
        /// As written.
        path: String,
        /// Why.
        #[source]
        fault: PathFault,
    },
    /// A host name that no request could carry.
    #[error("{0:?} is not a host name")]
    Host(String),
    /// Another API has the same host and base path.
    #[error("api {0} has the same host and base path")]
    SamePlace(String),
    /// No target for live traffic.
    #[error("no upstream target")]
    NoTarget,
    /// A target that is not an address.
    #[error("{0:?} is not an upstream address: write http:// or https://, a host, and at most a port and a path")]
    Target(String),
    /// A header that cannot be sent.
    #[error("{0:?} is not a header that can be sent")]
    Header(String),
    /// The sealed value of the upstream header is missing.
    #[error("the value of its upstream header is missing")]
    NoSecret,
    /// The sealed value of the upstream header does not open.
    #[error("the value of its upstream header cannot be used: {0}")]
    Secret(#[source] SealError),
    /// A method that is not a token.
    #[error("{0:?} is not a method")]
    Method(String),
    /// A path key of too many segments.
    #[error("path {0:?} has too many segments")]
    TooDeep(String),
    /// Refers to something that is not there.
    #[error("{0} is not there")]
    Missing(Object),
    /// A limit that means nothing.
    #[error("limit {at}: {fault}")]
    Limit {
        /// Its position, from 0.
        at: usize,
        /// Why.
        #[source]
        fault: LimitFault,
    },
    /// A quota without a maximum, whose price includes nothing of that meter.
    #[error("the quota of {0} has no maximum and its price includes none")]
    NoMaximum(String),
    /// Two limits that would share one counter.
    #[error("two limits have the key {0}")]
    SameLimit(String),
    /// More limits than can be numbered.
    #[error("too many limits")]
    TooMany,
    /// The usage periods cannot be computed.
    #[error("its usage periods cannot be computed: {0}")]
    Cycle(#[source] CycleError),
    /// Another object has the same name, hash or id.
    #[error("{0} is the same")]
    Duplicate(Object),
    /// A status that is neither a status nor a class.
    #[error("{0:?} is not a status: write 200 or 2xx")]
    Status(String),
    /// A JSON pointer that does not start with a slash, or a meter without a source for its sum.
    #[error("the value of a sum comes from a response header or a JSON pointer such as /usage/total_tokens")]
    MeterValue,
}
