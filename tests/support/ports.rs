//! Free ports of the loopback.

use std::net::TcpListener;
use std::sync::Mutex;

static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// A port that was free a moment ago and that this process gives out once.
pub fn free() -> u16 {
    let mut given = GIVEN.lock().unwrap();
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

/// A free port with so many free ones behind it.
pub fn row(behind: u16) -> u16 {
    loop {
        let first = free();
        let is_free = |ahead| {
            first
                .checked_add(ahead)
                .is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        };
        if (1..=behind).all(is_free) {
            GIVEN.lock().unwrap().extend((1..=behind).map(|ahead| first + ahead));
            return first;
        }
    }
}
