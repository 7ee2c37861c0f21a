use std::time::Duration;

use http::Response as HttpResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::*;
use crate::body::Body;
use crate::drain::Drain;
use crate::h1::client::{self, Timeouts};
use crate::limits::{Deadlines, Limits};
use crate::service::{Request, Response};
use crate::tls::ClientTls;

/// Answers with the path, on a slow path after a while.
struct Paths;

impl Service for Paths {
    async fn call(&self, request: Request, conn: &Rc<ConnInfo>) -> Response {
        if request.uri() == "/slow" {
            sleep(Duration::from_millis(300)).await;
        }
        let name = conn.server_name.clone();
        HttpResponse::new(Body::full(format!("{} {} {name:?}", request.uri(), conn.tls)))
    }
}

/// Real sockets and a real clock.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

struct Served {
    address: SocketAddr,
    drain: Drain,
    worker: tokio::task::JoinHandle<io::Result<Report>>,
}

fn serve(settings: Settings, tls: Option<Arc<ServerTls>>) -> Served {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    let mut worker = Worker::new(listener, Rc::new(Paths), Rc::new(settings), watch);
    if let Some(tls) = tls {
        worker = worker.with_tls(tls);
    }
    Served {
        address,
        drain,
        worker: tokio::task::spawn_local(worker.serve()),
    }
}

async fn get(stream: impl Into<Stream>, path: &str) -> Result<String, client::Error> {
    let request = http::Request::builder().uri(path).header("host", "gateway.test");
    let request = request.body(Body::empty()).unwrap();
    let sent = client::Connection::new(stream)
        .send(request, Timeouts::default(), None)
        .await?;
    let body = sent.into_body().collect(1000).await.unwrap();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_drain_finishes_what_runs_and_then_ends_the_worker() {
    run(async {
        let served = serve(Settings::default(), None);
        let tcp = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(get(tcp, "/a").await.unwrap(), "/a false None");
        let mut idle = TcpStream::connect(served.address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let running = TcpStream::connect(served.address).await.unwrap();
        let running = tokio::task::spawn_local(get(running, "/slow"));
        sleep(Duration::from_millis(50)).await;
        served.drain.start(Duration::from_secs(5));
        let mut rest = String::new();
        timeout(Duration::from_millis(100), idle.read_to_string(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(running.await.unwrap().unwrap(), "/slow false None");
        let report = timeout(Duration::from_secs(1), served.worker)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(report, Report { accepted: 3, cut: 0 });
        assert!(TcpStream::connect(served.address).await.is_err());
    });
}

#[test]
fn what_does_not_finish_by_the_deadline_is_cut() {
    run(async {
        let served = serve(Settings::default(), None);
        let running = TcpStream::connect(served.address).await.unwrap();
        let running = tokio::task::spawn_local(get(running, "/slow"));
        sleep(Duration::from_millis(50)).await;
        served.drain.start(Duration::from_mins(1));
        served.drain.start(Duration::from_millis(50));
        let report = timeout(Duration::from_millis(200), served.worker).await.unwrap();
        assert_eq!(report.unwrap().unwrap().cut, 1);
        assert!(running.await.unwrap().is_err());
    });
}

#[test]
fn connections_beyond_the_limit_wait_until_one_ends() {
    run(async {
        let limits = Limits {
            connections: 1,
            ..Limits::default()
        };
        let served = serve(
            Settings {
                limits,
                ..Settings::default()
            },
            None,
        );
        let first = TcpStream::connect(served.address).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        let second = TcpStream::connect(served.address).await.unwrap();
        let second = tokio::task::spawn_local(get(second, "/b"));
        sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), "/b false None");
    });
}

#[test]
fn accepting_rests_when_descriptors_run_out_and_goes_on_after_one_lost_client() {
    run(async {
        let context = Shared {
            service: Rc::new(Paths),
            settings: Rc::new(Settings::default()),
        };
        let tasks = JoinSet::new();
        let mut open = Open {
            tasks,
            cues: Vec::new(),
            accepted: 0,
            tls: None,
            context,
        };
        let out_of_descriptors = io::Error::from_raw_os_error(24);
        assert_eq!(open.take(Err(out_of_descriptors)), Pace::Rest);
        assert_eq!(open.take(Err(io::ErrorKind::ConnectionAborted.into())), Pace::Go);
    });
}

#[test]
fn two_workers_share_an_address() {
    run(async {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let second = bind(first.local_addr().unwrap()).unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
    });
}

#[test]
fn tls_serves_both_protocols_and_takes_a_new_certificate_without_a_restart() {
    run(async {
        let (chain, key) = certificate("gateway.test");
        let tls = Arc::new(ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
        let served = serve(Settings::default(), Some(Arc::clone(&tls)));
        let trusting = ClientTls::new(Some(chain.as_bytes())).unwrap();
        let connect = |tls: &ClientTls| {
            let tls = tls.clone();
            async move {
                let tcp = TcpStream::connect(served.address).await.unwrap();
                tls.connect(tcp, "gateway.test").await
            }
        };
        let stream = connect(&trusting).await.unwrap();
        assert_eq!(get(stream, "/t").await.unwrap(), "/t true Some(\"gateway.test\")");

        // The public roots alone, or another name, do not do.
        assert!(connect(&ClientTls::new(None).unwrap()).await.is_err());
        let tcp = TcpStream::connect(served.address).await.unwrap();
        assert!(trusting.connect(tcp, "other.test").await.is_err());

        let (next_chain, next_key) = certificate("gateway.test");
        assert!(tls.reload(next_chain.as_bytes(), key.as_bytes()).is_err());
        connect(&trusting).await.unwrap();
        tls.reload(next_chain.as_bytes(), next_key.as_bytes()).unwrap();
        let next = ClientTls::new(Some(next_chain.as_bytes())).unwrap();
        assert!(connect(&next).await.is_ok());
        assert!(connect(&trusting).await.is_err());
    });
}

#[test]
fn a_tls_handshake_that_does_not_happen_ends_with_the_deadline() {
    run(async {
        let (chain, key) = certificate("gateway.test");
        let tls = Arc::new(ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
        let deadlines = Deadlines {
            first_head: Duration::from_millis(80),
            ..Deadlines::default()
        };
        let served = serve(
            Settings {
                deadlines,
                ..Settings::default()
            },
            Some(tls),
        );
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        let mut byte = [0];
        let read = timeout(Duration::from_secs(2), silent.read(&mut byte)).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))));
    });
}

#[test]
fn http_2_without_tls_is_spoken_only_where_it_is_allowed() {
    run(async {
        for (allowed, reply) in [(true, &b"\x00\x00"[..]), (false, b"HT")] {
            let limits = Limits {
                h2_cleartext: allowed,
                ..Limits::default()
            };
            let served = serve(
                Settings {
                    limits,
                    ..Settings::default()
                },
                None,
            );
            let mut tcp = TcpStream::connect(served.address).await.unwrap();
            tcp.write_all(b"PRI * HTTP/2.0\r\n\r\n").await.unwrap();
            sleep(Duration::from_millis(5)).await;
            tcp.write_all(b"SM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
            let mut start = [0; 2];
            tcp.read_exact(&mut start).await.unwrap();
            assert_eq!(start, reply);
            let tcp = TcpStream::connect(served.address).await.unwrap();
            assert_eq!(get(tcp, "/h1").await.unwrap(), "/h1 false None");
        }
    });
}
