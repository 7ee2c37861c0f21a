//! HTTP/2 (RFC 9113) towards clients: hyper's, within bounds of our own.
//!
//! hyper limits streams, windows, header lists, resets and CONTINUATION
//! frames. What it leaves open is closed here: floods of PING and SETTINGS
//! ([`guard`]), deadlines ([`watch`]), and requests that would mean something
//! else once written as HTTP/1.1 ([`request`]).

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use crate::body::Body;
use crate::drain::Cue;
use crate::h1::read::poll_read_some;
use crate::limits::Settings;
use crate::service::{ConnInfo, Protocol, Service, Teller};
use crate::stream::Stream;
use crate::timer::CoarseTimer;

mod body;
mod guard;
mod request;
mod watch;

pub(crate) use body::StreamBody;
use body::StreamOut;
use guard::{Guard, Traffic};
use watch::{Verdict, Watch};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const MAX_FRAME: u32 = 16 << 10;
/// Resets of streams that were not even accepted yet.
const PENDING_RESETS: usize = 20;
/// A silent peer is asked for a sign of life this often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// One accepted connection.
pub struct Connection<S> {
    stream: Stream,
    input: BytesMut,
    service: Rc<S>,
    info: Rc<ConnInfo>,
    settings: Rc<Settings>,
    cue: Rc<Cue>,
    opened: Instant,
}

impl<S: Service> Connection<S> {
    /// A connection accepted at `opened`, from which its deadlines count.
    pub fn new(
        stream: impl Into<Stream>,
        service: Rc<S>,
        info: Rc<ConnInfo>,
        settings: Rc<Settings>,
        opened: Instant,
    ) -> Self {
        let stream = stream.into();
        let cue = Rc::default();
        Self {
            stream,
            input: BytesMut::new(),
            service,
            info,
            settings,
            cue,
            opened,
        }
    }

    /// Lets `cue` tell this connection to finish.
    #[must_use]
    pub fn with_cue(mut self, cue: Rc<Cue>) -> Self {
        self.cue = cue;
        self
    }

    /// Bytes that were read before the protocol was known.
    #[must_use]
    pub fn with_input(mut self, input: BytesMut) -> Self {
        self.input = input;
        self
    }

    /// Serves until the connection ends. Must run inside a `LocalSet`.
    pub async fn run(self) {
        let Self {
            stream,
            input,
            service,
            info,
            settings,
            cue,
            opened,
        } = self;
        let traffic = Rc::new(Traffic::new(&settings.limits));
        let watch = Rc::new(Watch::new(Rc::clone(&settings), opened));
        let guard = Guard::new(stream, input, Rc::clone(&traffic));
        let adapter = Adapter {
            service,
            info,
            settings,
            watch: Rc::clone(&watch),
        };
        let connection = builder(&adapter.settings).serve_connection(TokioIo::new(guard), adapter);
        let mut connection = pin!(connection);
        let mut keeper = Keeper {
            watch,
            traffic,
            cue,
            timer: CoarseTimer::new(),
            is_closing: false,
        };
        poll_fn(|cx| {
            loop {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match keeper.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Verdict::Fine) => {}
                    Poll::Ready(Verdict::Finish) => connection.as_mut().graceful_shutdown(),
                    Poll::Ready(Verdict::Drop) => {
                        // A last chance to say GOAWAY; the end comes either way.
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.as_mut().poll(cx);
                        return Poll::Ready(());
                    }
                }
            }
        })
        .await;
    }
}

fn builder(settings: &Settings) -> http2::Builder<LocalExecutor> {
    let limits = &settings.limits;
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// Everything that can end a connection besides the two peers.
struct Keeper {
    watch: Rc<Watch>,
    traffic: Rc<Traffic>,
    cue: Rc<Cue>,
    timer: CoarseTimer,
    is_closing: bool,
}

impl Keeper {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        if self.traffic.watch_flood(cx) {
            tracing::debug!("http/2 control frame flood, connection is closed");
            return Poll::Ready(Verdict::Drop);
        }
        if !self.is_closing && self.cue.is_draining(cx) {
            self.is_closing = true;
            return Poll::Ready(Verdict::Finish);
        }
        loop {
            self.timer.set_if_none(Instant::now() + self.watch.tick());
            if self.timer.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer.clear();
            match self.watch.judge(Instant::now(), self.traffic.unfinished_since()) {
                Verdict::Fine => {}
                Verdict::Finish if self.is_closing => {}
                Verdict::Finish => {
                    self.is_closing = true;
                    return Poll::Ready(Verdict::Finish);
                }
                Verdict::Drop => return Poll::Ready(Verdict::Drop),
            }
        }
    }
}

/// Runs hyper's stream tasks on this thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Our service as hyper sees it.
struct Adapter<S> {
    service: Rc<S>,
    info: Rc<ConnInfo>,
    settings: Rc<Settings>,
    watch: Rc<Watch>,
}

type Answer<S> = http::Response<StreamOut<S>>;
type Answering<S> = Pin<Box<dyn Future<Output = Result<Answer<S>, std::convert::Infallible>>>>;

impl<S: Service> HyperService<http::Request<Incoming>> for Adapter<S> {
    type Response = Answer<S>;
    type Error = std::convert::Infallible;
    type Future = Answering<S>;

    fn call(&self, request: http::Request<Incoming>) -> Answering<S> {
        let service = Rc::clone(&self.service);
        let info = Rc::clone(&self.info);
        let stream = self.watch.open_stream();
        let is_head = *request.method() == http::Method::HEAD;
        let request = request::convert(request, &stream, &self.settings.limits);
        Box::pin(async move {
            let (response, is_refusal) = match request {
                Ok(request) => (service.call(request, &info).await, false),
                Err(refusal) => (service.refused(&refusal, &info), true),
            };
            let (mut parts, mut body) = response.into_parts();
            let extensions = std::mem::take(&mut parts.extensions);
            let teller = Teller::new(service, (!is_refusal).then_some(extensions));
            request::strip(&mut parts.headers);
            if is_bodiless(is_head, parts.status, &body) {
                finish_bodiless(&mut body).await;
            }
            let out = StreamOut::new(body, stream, teller);
            Ok(http::Response::from_parts(parts, out))
        })
    }
}

fn is_bodiless(is_head: bool, status: http::StatusCode, body: &Body) -> bool {
    is_head
        || matches!(status, http::StatusCode::NO_CONTENT | http::StatusCode::NOT_MODIFIED)
        || body.size_hint().exact() == Some(0)
}

/// The head is the last thing such a response sends, so the body has its say
/// before it.
async fn finish_bodiless(body: &mut Body) {
    let _ = body.next_data().await;
    *body = Body::empty();
}

/// Reads until it is certain whether HTTP/2 is spoken without TLS.
///
/// # Errors
/// Those of the stream; `UnexpectedEof` when it ends before that.
pub(crate) async fn sniff(stream: &mut Stream, input: &mut BytesMut) -> io::Result<Protocol> {
    loop {
        let seen = input.len().min(PREFACE.len());
        if input[..seen] != PREFACE[..seen] {
            return Ok(Protocol::Http1);
        }
        if seen == PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        if poll_fn(|cx| poll_read_some(stream, input, cx)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests;
