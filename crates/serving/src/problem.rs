//! Problem bodies, RFC 9457: the one table of problem names and statuses.
//!
//! The `type` of each is `https://tollgate.dev/problems/NAME`.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value};

use crate::body::Body;
use crate::service::Response;

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $title:literal;)+) => {
        /// Every kind of problem that a data plane answers with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemKind {
            $($(#[$doc])* $variant,)+
        }

        impl ProblemKind {
            /// All kinds, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, the last segment of the problem's type.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The problem's type, a URI.
            pub const fn type_uri(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("https://tollgate.dev/problems/", $name),)+
                }
            }

            /// A short summary that does not change from case to case.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

problem_kinds! {
    /// No credential was sent.
    MissingCredentials = "missing-credentials", "Credentials are missing";
    /// The credential is unknown, malformed or revoked.
    InvalidCredentials = "invalid-credentials", "Credentials are invalid";
    /// The credential was valid once.
    ExpiredCredentials = "expired-credentials", "Credentials have expired";
    /// No subscription of the consumer covers the operation.
    NoSubscription = "no-subscription", "No subscription covers this operation";
    /// The subscription is not in a state that is served.
    SubscriptionInactive = "subscription-inactive", "The subscription is not active";
    /// The consumer is suspended.
    ConsumerSuspended = "consumer-suspended", "The consumer is suspended";
    /// A test key was used where no sandbox exists.
    SandboxUnavailable = "sandbox-unavailable", "No sandbox is available";
    /// The consumer may not do this.
    Forbidden = "forbidden", "Forbidden";
    /// Payment is due before requests are served.
    PaymentRequired = "payment-required", "Payment is required";
    /// Nothing is served at this host and path.
    NoRoute = "no-route", "No route matches";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", "The method is not allowed";
    /// The request is malformed or fails validation.
    RequestInvalid = "request-invalid", "The request is invalid";
    /// The client was too slow to send its request.
    RequestTimeout = "request-timeout", "The request took too long to arrive";
    /// The request body is larger than allowed.
    RequestTooLarge = "request-too-large", "The request body is too large";
    /// The request line is longer than allowed.
    UriTooLong = "uri-too-long", "The URI is too long";
    /// The header fields are larger or more than allowed.
    HeadersTooLarge = "headers-too-large", "The header fields are too large";
    /// A rate limit is used up.
    RateLimited = "rate-limited", "The rate limit is exceeded";
    /// The quota of the period is used up.
    QuotaExceeded = "quota-exceeded", "The quota is exceeded";
    /// Too many requests run at once.
    ConcurrencyLimited = "concurrency-limited", "Too many concurrent requests";
    /// The upstream could not be reached.
    UpstreamUnreachable = "upstream-unreachable", "The upstream cannot be reached";
    /// The upstream answered with something that is not valid HTTP.
    UpstreamInvalid = "upstream-invalid", "The upstream answered invalidly";
    /// The upstream has failed too often of late.
    UpstreamCircuitOpen = "upstream-circuit-open", "The upstream is resting after failures";
    /// This node cannot take more work now.
    Overloaded = "overloaded", "Overloaded";
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream-timeout", "The upstream took too long";
}

impl ProblemKind {
    /// The status code of the response. The one place that maps them.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::RequestInvalid => StatusCode::BAD_REQUEST,
            Self::MissingCredentials | Self::InvalidCredentials | Self::ExpiredCredentials => StatusCode::UNAUTHORIZED,
            Self::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
            Self::NoSubscription
            | Self::SubscriptionInactive
            | Self::ConsumerSuspended
            | Self::SandboxUnavailable
            | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RateLimited | Self::QuotaExceeded | Self::ConcurrencyLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamUnreachable | Self::UpstreamInvalid => StatusCode::BAD_GATEWAY,
            Self::UpstreamCircuitOpen | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// The media type of problem bodies.
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One problem, to be finished with its particulars and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    kind: ProblemKind,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with type, title and status only.
    pub fn new(kind: ProblemKind) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), kind.type_uri().into());
        members.insert("title".to_owned(), kind.title().into());
        members.insert("status".to_owned(), kind.status().as_u16().into());
        Self { kind, members }
    }

    /// The kind it was made of.
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What is particular to this occurrence, for people to read.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", detail.into())
    }

    /// A URI that names this occurrence, such as `urn:request:ID`.
    #[must_use]
    pub fn instance(self, instance: impl Into<String>) -> Self {
        self.with("instance", instance.into())
    }

    /// Adds one entry to `errors`: a JSON pointer into the request (or a
    /// `#/header/NAME` fragment) and what is wrong there.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        let entry = serde_json::json!({ "pointer": pointer.into(), "detail": reason.into() });
        match self.members.get_mut("errors") {
            Some(Value::Array(errors)) => errors.push(entry),
            _ => {
                self.members.insert("errors".to_owned(), Value::Array(vec![entry]));
            }
        }
        self
    }

    /// Adds an extension member, such as `request_id` or `retry_after`.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// The JSON document.
    pub fn to_bytes(&self) -> Bytes {
        // A map of strings, numbers and arrays always serialises.
        serde_json::to_vec(&self.members).unwrap_or_default().into()
    }

    /// A response with this body, its status and its media type.
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::full(self.to_bytes()));
        *response.status_mut() = self.kind.status();
        response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_the_members_of_rfc_9457_in_order() {
        let problem = Problem::new(ProblemKind::RequestInvalid)
            .detail("two fields are wrong")
            .instance("urn:request:1")
            .error("/name", "is required")
            .error("/age", "must be a number")
            .with("request_id", "1");
        assert_eq!(
            String::from_utf8_lossy(&problem.to_bytes()),
            concat!(
                r#"{"type":"https://tollgate.dev/problems/request-invalid","#,
                r#""title":"The request is invalid","status":400,"#,
                r#""detail":"two fields are wrong","instance":"urn:request:1","#,
                r#""errors":[{"pointer":"/name","detail":"is required"},"#,
                r#"{"pointer":"/age","detail":"must be a number"}],"request_id":"1"}"#
            )
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn names_are_distinct_and_statuses_are_errors() {
        let mut names: Vec<_> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 24);
        for kind in ProblemKind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
            assert!(kind.type_uri().ends_with(kind.name()));
        }
    }
}
