//! A network between a client and a server that can swallow answers and be cut.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Debug, Default)]
struct Shared {
    cut: AtomicBool,
    mute: AtomicBool,
    stop: AtomicBool,
    swallowed: AtomicU64,
    open: Mutex<Vec<Arc<Link>>>,
}

#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// An answer is missing: the connection must not go on.
    torn: AtomicBool,
}

impl Link {
    fn close(&self) {
        // It may be closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// Forwards connections to a local port.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy on a port of its own before `server`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                if accepting.cut.load(Ordering::SeqCst) {
                    continue;
                }
                // A server that is away closes the client's connection.
                let _ = link(&accepting, client, server);
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients connect.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The server gets everything and its answers are lost, until [`Self::heal`].
    pub fn swallow_answers(&self) {
        self.shared.mute.store(true, Ordering::SeqCst);
    }

    /// Bytes of answers that were lost so far.
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }

    /// Closes every connection and takes no new one, until [`Self::heal`].
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        for link in self.links().drain(..) {
            link.close();
        }
    }

    /// The network works again; connections that lost an answer are closed.
    pub fn heal(&self) {
        self.shared.mute.store(false, Ordering::SeqCst);
        self.shared.cut.store(false, Ordering::SeqCst);
        self.links().retain(|link| {
            let torn = link.torn.load(Ordering::SeqCst);
            if torn {
                link.close();
            }
            !torn
        });
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Link>>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn link(shared: &Arc<Shared>, client: TcpStream, server: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut requests, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let link = Arc::new(Link {
        client,
        server,
        torn: AtomicBool::new(false),
    });
    shared
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Arc::clone(&link));
    let closing = Arc::clone(&link);
    thread::spawn(move || {
        let _ = io::copy(&mut requests, &mut to_server);
        closing.close();
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = answers.read(&mut buffer) {
            if read == 0 {
                break;
            }
            if shared.mute.load(Ordering::SeqCst) || link.torn.load(Ordering::SeqCst) {
                link.torn.store(true, Ordering::SeqCst);
                shared.swallowed.fetch_add(read as u64, Ordering::SeqCst);
            } else if to_client.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        link.close();
    });
    Ok(())
}
