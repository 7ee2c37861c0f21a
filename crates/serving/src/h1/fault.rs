//! Why a message is not one.

use crate::problem::ProblemKind;
use crate::service::Refusal;

/// A violation of the framing rules. The texts are shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.reason())]
pub enum Fault {
    /// A line ends in LF without CR, or a CR stands alone.
    LineEnd,
    /// The first line is malformed.
    StartLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// The method is not allowed at this place, or not a token.
    Method,
    /// The request target has a form or a byte that is not accepted.
    Target,
    /// A field name is empty, not a token, folded, or followed by whitespace.
    FieldName,
    /// A field value has a control byte.
    FieldValue,
    /// A name that careless readers take for a framing field.
    Lookalike,
    /// More bytes in the first line than allowed.
    LineTooLong,
    /// More bytes of header fields than allowed.
    HeadersTooLarge,
    /// More header fields than allowed.
    TooManyHeaders,
    /// `Content-Length` is repeated or not a plain decimal number.
    ContentLength,
    /// `Transfer-Encoding` is anything but one `chunked`.
    TransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding`.
    BothLengths,
    /// `Transfer-Encoding` in a version that does not have it.
    EncodingInHttp10,
    /// `Host` is missing, repeated or malformed.
    Host,
    /// `Host` names another authority than the request target.
    HostMismatch,
    /// `Connection` is malformed or names a field that it must not name.
    Connection,
    /// `Expect` is anything but one `100-continue`.
    Expect,
    /// A chunk size line is malformed, overflows, or is too long.
    ChunkSize,
    /// A chunk's data is not followed by CRLF.
    ChunkEnd,
    /// A trailer field is malformed, too large, or has no place in a trailer.
    Trailer,
    /// A response status that has no place here.
    Status,
    /// Pseudo-header fields, or fields that HTTP/2 forbids.
    Http2Field,
    /// The body's bytes do not add up to the declared length.
    BodyLength,
}

impl Fault {
    /// The problem that a client's fault is answered with.
    pub const fn problem(self) -> ProblemKind {
        match self {
            Self::LineTooLong => ProblemKind::UriTooLong,
            Self::HeadersTooLarge | Self::TooManyHeaders => ProblemKind::HeadersTooLarge,
            Self::LineEnd
            | Self::StartLine
            | Self::Version
            | Self::Method
            | Self::Target
            | Self::FieldName
            | Self::FieldValue
            | Self::Lookalike
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::BothLengths
            | Self::EncodingInHttp10
            | Self::Host
            | Self::HostMismatch
            | Self::Connection
            | Self::Expect
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::Trailer
            | Self::Status
            | Self::Http2Field
            | Self::BodyLength => ProblemKind::RequestInvalid,
        }
    }

    /// What was wrong, in words that may be shown to the sender.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LineEnd => "a line does not end in CRLF",
            Self::StartLine => "the first line is malformed",
            Self::Version => "the protocol version is not HTTP/1.0 or HTTP/1.1",
            Self::Method => "the method is not accepted",
            Self::Target => "the request target is malformed or of a form that is not accepted",
            Self::FieldName => "a header field name is malformed",
            Self::FieldValue => "a header field value has a control character",
            Self::Lookalike => "a header field name imitates a framing field",
            Self::LineTooLong => "the request line is too long",
            Self::HeadersTooLarge => "the header fields are too large",
            Self::TooManyHeaders => "there are too many header fields",
            Self::ContentLength => "content-length is not a single plain number",
            Self::TransferEncoding => "transfer-encoding is not exactly one chunked",
            Self::BothLengths => "both content-length and transfer-encoding are present",
            Self::EncodingInHttp10 => "transfer-encoding is not part of HTTP/1.0",
            Self::Host => "host is missing, repeated or malformed",
            Self::HostMismatch => "host and request target disagree",
            Self::Connection => "connection is malformed or names a field that is not its own",
            Self::Expect => "expect is not exactly 100-continue",
            Self::ChunkSize => "a chunk size line is malformed",
            Self::ChunkEnd => "chunk data does not end where its size says",
            Self::Trailer => "a trailer field is malformed or not accepted",
            Self::Status => "the status is not accepted",
            Self::Http2Field => "the request has fields that are not accepted in HTTP/2",
            Self::BodyLength => "the body does not have the declared length",
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(fault.problem(), fault.reason())
    }
}
