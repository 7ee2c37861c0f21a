//! Accepting connections: plain or TLS, HTTP/1.1, with deadlines that count from accept and a drain at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serving::tls::ServerTls;
use serving::trust::TrustedProxies;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// From accept to the end of the header, TLS handshake included.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Requests in flight get so long when the server stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// Connections at once; later ones wait in the queue of the listener.
const MAX_CONNECTIONS: usize = 2_048;
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The address that a request comes from: the other end of the connection, or what trusted proxies say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where the requests of a connection come from.
struct Origin {
    peer: SocketAddr,
    proxies: Arc<TrustedProxies>,
}

impl Origin {
    fn of(&self, headers: &HeaderMap) -> Peer {
        let client = self.proxies.origin(self.peer, headers).client;
        Peer(SocketAddr::new(client, self.peer.port()))
    }
}

/// Serves until `stop` turns true, then lets requests in flight finish.
pub(crate) async fn serve(
    (listener, proxies): (TcpListener, TrustedProxies),
    tls: Option<Arc<ServerTls>>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let proxies = Arc::new(proxies);
    let graceful = Arc::new(GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: the next accept would fail at once as well.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        let peer = Origin {
            peer,
            proxies: Arc::clone(&proxies),
        };
        tokio::spawn(async move {
            let _place = place;
            connection(stream, peer, tls, (router, watcher)).await;
        });
    }
    drop(listener);
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        let _ = tokio::time::timeout(DRAIN_DEADLINE, graceful.shutdown()).await;
    }
}

type Serve = (Router, hyper_util::server::graceful::Watcher);

async fn connection(stream: TcpStream, peer: Origin, tls: Option<Arc<ServerTls>>, serve: Serve) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => http1(TokioIo::new(stream), peer, serve).await,
        Some(tls) => {
            let handshake = TlsAcceptor::from(tls.http1_config()).accept(stream);
            match tokio::time::timeout(HEADER_DEADLINE, handshake).await {
                Ok(Ok(stream)) => http1(TokioIo::new(stream), peer, serve).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

async fn http1<I>(io: TokioIo<I>, origin: Origin, (router, watcher): Serve)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        let peer = origin.of(request.headers());
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
