//! Every number that bounds what one client can make us hold or wait for.

use std::time::Duration;

/// Bounds on size and count. The defaults suit an edge that faces the public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line in bytes, beyond it 414.
    pub request_line: usize,
    /// Most bytes of all header fields of one request together, beyond it 431.
    pub header_bytes: usize,
    /// Most header fields of one request, beyond it 431; at most 128.
    pub header_count: usize,
    /// Largest request body in bytes, beyond it 413. A service may set a
    /// smaller one per request with [`crate::Body::limit`]. `None`: no limit.
    pub body_bytes: Option<u64>,
    /// Unread request body bytes that are discarded to keep a connection.
    pub drain_bytes: u64,
    /// Requests after which a connection is closed.
    pub requests_per_connection: u64,
    /// Open connections of one worker; accepting pauses at this number.
    pub connections: usize,
    /// HTTP/2: streams open at once on one connection.
    pub h2_streams: u32,
    /// HTTP/2: PING and SETTINGS frames (each) taken in any 10 seconds.
    pub h2_control_frames: u32,
    /// HTTP/2: stream resets taken in any 10 seconds.
    pub h2_resets: u32,
    /// Whether HTTP/2 without TLS is accepted (prior knowledge).
    pub h2_cleartext: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 << 10,
            header_bytes: 16 << 10,
            header_count: 100,
            body_bytes: None,
            drain_bytes: 64 << 10,
            requests_per_connection: 10_000,
            connections: 16_384,
            h2_streams: 100,
            h2_control_frames: 100,
            h2_resets: 1_000,
            h2_cleartext: false,
        }
    }
}

/// Bounds on waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// From accept to the first complete head, TLS handshake included.
    pub first_head: Duration,
    /// From a later head's first byte to its last.
    pub head: Duration,
    /// Between a response and the next request's first byte.
    pub idle: Duration,
    /// The span over which a request body must bring `body_rate` a second.
    pub body_grace: Duration,
    /// Least bytes a second of a request body that somebody waits for.
    pub body_rate: u64,
    /// Longest time a client may take no byte of a response.
    pub write_stall: Duration,
    /// Age at which a connection is closed after its current response.
    pub connection_age: Duration,
    /// How long a closing connection discards input, so that its last
    /// response is not destroyed by a reset.
    pub linger: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_head: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_grace: Duration::from_secs(10),
            body_rate: 240,
            write_stall: Duration::from_secs(30),
            connection_age: Duration::from_hours(1),
            linger: Duration::from_secs(1),
        }
    }
}

/// All settings of a listener's connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Bounds on size and count.
    pub limits: Limits,
    /// Bounds on waiting.
    pub deadlines: Deadlines,
}
