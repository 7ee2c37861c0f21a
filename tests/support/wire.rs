//! A client that sends bytes as they are and keeps what comes back as it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection on which anything may be said.
pub struct Wire {
    pub stream: TcpStream,
    pub heard: Vec<u8>,
    pub closed: bool,
}

impl Wire {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            heard: Vec::new(),
            closed: false,
        }
    }

    /// Sends; an error means that the other side has left, which [`Wire::closed`] will tell.
    pub fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Listens until `enough` says so, the end of the connection, or `patience` has run out.
    pub fn listen(&mut self, patience: Duration, enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        let deadline = Instant::now() + patience;
        while !self.closed && !enough(&self.heard) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut piece = [0; 16 << 10];
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => self.heard.extend_from_slice(&piece[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    break;
                }
                _ => self.closed = true,
            }
        }
        &self.heard
    }

    /// Listens until the connection ends; `false` if it does not within `patience`.
    pub fn ends(&mut self, patience: Duration) -> bool {
        self.listen(patience, |_| false);
        self.closed
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// The statuses of the answers so far, interim ones too. Bodies that hold a status line would be counted.
    pub fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        text.match_indices("HTTP/1.1 ")
            .filter_map(|(at, _)| text[at + 9..].get(..3)?.parse().ok())
            .collect()
    }

    /// How many answers came from the raw upstream.
    pub fn upstream_answers(&self) -> usize {
        self.text().to_ascii_lowercase().matches("x-upstream: raw").count()
    }
}

/// Sends one request on a connection of its own, to be closed after it, and gives back all that was heard.
pub fn once(address: SocketAddr, request: &[u8]) -> Wire {
    let mut wire = Wire::open(address);
    wire.say(request);
    wire.ends(Duration::from_secs(10));
    wire
}
