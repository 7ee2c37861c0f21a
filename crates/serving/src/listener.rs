//! Accepting connections on one worker thread, and draining them.
//!
//! Each worker has a listener of its own on the same address (`SO_REUSEPORT`)
//! and runs inside a `LocalSet` (or a local runtime) on a `current_thread`
//! runtime. Running out of descriptors pauses accepting; it never spins.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use socket2::{Domain, Protocol as IpProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::drain::{Cue, DrainWatch};
use crate::h1::server::Connection;
use crate::h2;
use crate::limits::Settings;
use crate::service::{ConnInfo, Protocol, Service};
use crate::stream::Stream;
use crate::tls::{Accepted, ServerTls};

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 4096;
/// Pause after an error that says we are out of something.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A listening socket that other workers can bind beside.
///
/// # Errors
/// Those of the system, such as an address in use without `SO_REUSEPORT`.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(IpProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One worker's accept loop and its connections.
pub struct Worker<S> {
    listener: StdListener,
    tls: Option<Arc<ServerTls>>,
    context: Shared<S>,
    drain: DrainWatch,
}

struct Shared<S> {
    service: Rc<S>,
    settings: Rc<Settings>,
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self {
            service: Rc::clone(&self.service),
            settings: Rc::clone(&self.settings),
        }
    }
}

/// How a worker's serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Connections accepted in all.
    pub accepted: u64,
    /// Connections cut at the drain's deadline.
    pub cut: usize,
}

impl<S: Service> Worker<S> {
    /// Serves plain HTTP on `listener`, which may come from [`bind`] or from a
    /// descriptor passed by a parent process.
    pub fn new(listener: StdListener, service: Rc<S>, settings: Rc<Settings>, drain: DrainWatch) -> Self {
        Self {
            listener,
            tls: None,
            context: Shared { service, settings },
            drain,
        }
    }

    /// Serves TLS instead, with HTTP/2 and HTTP/1.1 by ALPN.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<ServerTls>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves until a drain has begun and ended.
    ///
    /// # Errors
    /// When the listener cannot be registered with the runtime.
    pub async fn serve(self) -> io::Result<Report> {
        let Self {
            listener,
            tls,
            context,
            mut drain,
        } = self;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let max = context.settings.limits.connections;
        let mut open = Open {
            tasks: JoinSet::new(),
            cues: Vec::new(),
            accepted: 0,
            tls,
            context,
        };
        loop {
            tokio::select! {
                biased;
                _ = drain.started() => break,
                Some(_) = open.tasks.join_next(), if !open.tasks.is_empty() => {}
                accepted = listener.accept(), if open.tasks.len() < max => {
                    if open.take(accepted) == Pace::Rest {
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                }
            }
        }
        open.take_backlog(&listener);
        drop(listener);
        Ok(open.drain(drain).await)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Pace {
    Go,
    Rest,
}

struct Open<S> {
    tasks: JoinSet<()>,
    cues: Vec<Weak<Cue>>,
    accepted: u64,
    tls: Option<Arc<ServerTls>>,
    context: Shared<S>,
}

impl<S: Service> Open<S> {
    fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) -> Pace {
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client gave up before it was accepted.
            Err(error) if is_about_one_connection(&error) => return Pace::Go,
            Err(error) => {
                tracing::warn!(%error, "cannot accept, resting");
                return Pace::Rest;
            }
        };
        let Ok(local) = tcp.local_addr() else { return Pace::Go };
        // Responses are written whole, so there is nothing to wait for.
        let _ = tcp.set_nodelay(true);
        let cue = Rc::new(Cue::default());
        self.remember(&cue);
        self.accepted += 1;
        let accepted = Fresh {
            tcp,
            peer,
            local,
            opened: Instant::now(),
            cue,
        };
        let context = self.context.clone();
        match &self.tls {
            None => self.tasks.spawn_local(serve_plain(context, accepted)),
            Some(tls) => self.tasks.spawn_local(serve_tls(context, accepted, Arc::clone(tls))),
        };
        Pace::Go
    }

    fn remember(&mut self, cue: &Rc<Cue>) {
        if self.cues.len() > 2 * self.tasks.len() + 64 {
            self.cues.retain(|cue| cue.strong_count() > 0);
        }
        self.cues.push(Rc::downgrade(cue));
    }

    /// Connections that the kernel has accepted for us would be reset when the
    /// listener closes.
    fn take_backlog(&mut self, listener: &TcpListener) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(accepted)) = listener.poll_accept(&mut cx) {
            self.take(Ok(accepted));
        }
    }

    async fn drain(mut self, mut drain: DrainWatch) -> Report {
        for cue in self.cues.drain(..).filter_map(|cue| cue.upgrade()) {
            cue.start();
        }
        while !self.tasks.is_empty() {
            let deadline = drain.started().await;
            tokio::select! {
                _ = self.tasks.join_next() => {}
                () = sleep_until(deadline) => break,
                () = drain.changed() => {}
            }
        }
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        Report {
            accepted: self.accepted,
            cut,
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

struct Fresh {
    tcp: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    opened: Instant,
    cue: Rc<Cue>,
}

async fn serve_tls<S: Service>(context: Shared<S>, fresh: Fresh, tls: Arc<ServerTls>) {
    let deadline = fresh.opened + context.settings.deadlines.first_head;
    // A failed or slow handshake is the client's affair; there is no one to tell.
    let Ok(Ok(accepted)) = timeout_at(deadline, tls.accept(fresh.tcp)).await else {
        return;
    };
    let Accepted {
        stream,
        protocol,
        server_name,
    } = accepted;
    let (peer, local) = (fresh.peer, fresh.local);
    let info = Rc::new(ConnInfo {
        peer,
        local,
        tls: true,
        server_name,
        protocol,
    });
    let ready = Ready {
        stream,
        info,
        input: BytesMut::new(),
        opened: fresh.opened,
        cue: fresh.cue,
    };
    serve(context, ready).await;
}

async fn serve_plain<S: Service>(context: Shared<S>, fresh: Fresh) {
    let mut stream = Stream::Tcp(fresh.tcp);
    let mut input = BytesMut::new();
    let mut protocol = Protocol::Http1;
    if context.settings.limits.h2_cleartext {
        let deadline = fresh.opened + context.settings.deadlines.first_head;
        let sniffed = timeout_at(deadline, h2::sniff(&mut stream, &mut input)).await;
        let Ok(Ok(found)) = sniffed else { return };
        protocol = found;
    }
    let (peer, local) = (fresh.peer, fresh.local);
    let info = Rc::new(ConnInfo {
        peer,
        local,
        tls: false,
        server_name: None,
        protocol,
    });
    serve(
        context,
        Ready {
            stream,
            info,
            input,
            opened: fresh.opened,
            cue: fresh.cue,
        },
    )
    .await;
}

struct Ready {
    stream: Stream,
    info: Rc<ConnInfo>,
    input: BytesMut,
    opened: Instant,
    cue: Rc<Cue>,
}

async fn serve<S: Service>(context: Shared<S>, ready: Ready) {
    let Ready {
        stream,
        info,
        input,
        opened,
        cue,
    } = ready;
    let Shared { service, settings } = context;
    match info.protocol {
        Protocol::Http1 => {
            let connection = Connection::new(stream, service, info, settings, opened);
            connection.with_cue(cue).with_input(input).run().await;
        }
        Protocol::Http2 => {
            let connection = h2::Connection::new(stream, service, info, settings, opened);
            connection.with_cue(cue).with_input(input).run().await;
        }
    }
}

#[cfg(test)]
mod tests;
