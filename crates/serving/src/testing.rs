//! What the tests of this crate share: a service made of a closure, and
//! connections that live in memory on a paused clock.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::Extensions;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

use crate::body::{Body, BodyError};
use crate::drain::Cue;
use crate::h1::server::Connection;
use crate::limits::Settings;
use crate::service::{Completion, ConnInfo, Protocol, Request, Response, Service};

pub(crate) type Answering = Pin<Box<dyn Future<Output = Response>>>;

/// A service that answers by calling a closure, and notes every completion.
pub(crate) struct Handler {
    answer: Box<dyn Fn(Request) -> Answering>,
    pub(crate) completions: RefCell<Vec<Completion>>,
}

impl Handler {
    pub(crate) fn new<F, R>(answer: F) -> Rc<Self>
    where
        F: Fn(Request) -> R + 'static,
        R: Future<Output = Response> + 'static,
    {
        let answer = Box::new(move |request| Box::pin(answer(request)) as Answering);
        Rc::new(Self {
            answer,
            completions: RefCell::default(),
        })
    }
}

impl Service for Handler {
    async fn call(&self, request: Request, _conn: &Rc<ConnInfo>) -> Response {
        (self.answer)(request).await
    }

    fn finished(&self, _extensions: Extensions, completion: Completion) {
        self.completions.borrow_mut().push(completion);
    }
}

/// Runs a test on one thread with a clock that jumps when all is quiet.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test)
}

pub(crate) fn info(protocol: Protocol) -> Rc<ConnInfo> {
    let address = "127.0.0.1:1".parse().unwrap();
    Rc::new(ConnInfo {
        peer: address,
        local: address,
        tls: false,
        server_name: None,
        protocol,
    })
}

/// The client's end of a connection that is being served.
pub(crate) struct Client {
    pub(crate) stream: DuplexStream,
    pub(crate) cue: Rc<Cue>,
    pub(crate) opened: Instant,
    /// The connection's task, whose panic a test wants to hear of.
    pub(crate) task: tokio::task::JoinHandle<()>,
}

pub(crate) fn serve_with(service: &Rc<Handler>, settings: Settings) -> Client {
    serve_through(service, settings, 1 << 20)
}

pub(crate) fn serve_through(service: &Rc<Handler>, settings: Settings, pipe: usize) -> Client {
    let (near, far) = tokio::io::duplex(pipe);
    let opened = Instant::now();
    let cue = Rc::new(Cue::default());
    let info = info(Protocol::Http1);
    let connection = Connection::new(far, Rc::clone(service), info, Rc::new(settings), opened);
    let task = tokio::task::spawn_local(connection.with_cue(Rc::clone(&cue)).run());
    Client {
        stream: near,
        cue,
        opened,
        task,
    }
}

pub(crate) fn serve(service: &Rc<Handler>) -> Client {
    serve_with(service, Settings::default())
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has hung up is what some tests are about.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// What arrives before a quiet moment, with the `date` field removed.
    pub(crate) async fn receive(&mut self) -> String {
        let mut all = Vec::new();
        let quiet = Duration::from_millis(1);
        while let Ok(Ok(count)) = timeout(quiet, self.stream.read_buf(&mut all)).await {
            if count == 0 {
                break;
            }
        }
        without_date(&all)
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let _ = self.stream.read_to_end(&mut all).await;
        without_date(&all)
    }

    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(1), self.stream.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

fn without_date(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_inclusive("\r\n")
        .filter(|line| !line.starts_with("date: "))
        .collect()
}

/// A body that is fed by hand.
pub(crate) fn fed() -> (
    tokio::sync::mpsc::UnboundedSender<Result<bytes::Bytes, BodyError>>,
    Body,
) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, Body::wrap(Fed(receiver)))
}

struct Fed(tokio::sync::mpsc::UnboundedReceiver<Result<bytes::Bytes, BodyError>>);

impl http_body::Body for Fed {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, BodyError>>> {
        self.0
            .poll_recv(cx)
            .map(|item| item.map(|item| item.map(http_body::Frame::data)))
    }
}
