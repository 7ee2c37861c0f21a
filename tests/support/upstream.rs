//! An upstream as a process of its own. It appends the id of every request to a file before it answers, so that what it
//! served is known whatever happens to the platform.
//!
//! The process is this very test binary, run again: each binary that uses it has a test named `upstream_process` that
//! calls [`run_if_asked`].
//!
//! Paths: anything answers 200; `?status=503` that status; `?delay=250` after so many milliseconds; `?tokens=17` with
//! `{"usage":{"total_tokens":17}}` and the header `X-Tokens: 17`; `?bytes=1000` with so many bytes; `?chunks=5&gap=100`
//! streams so many pieces; `POST` answers with the number of bytes that it was sent.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;

const LOG: &str = "TOLLGATE_TEST_UPSTREAM_LOG";

/// A running upstream.
pub struct Upstream {
    child: Child,
    pub url: String,
    log: PathBuf,
}

impl Upstream {
    pub fn start(dir: &Path) -> Self {
        let log = dir.join(format!("upstream-{}.log", super::ports::free()));
        File::create(&log).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "upstream_process", "--nocapture"])
            .env(LOG, &log)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .find_map(|line| line.unwrap().split("upstream at ").nth(1).map(str::to_owned))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, log }
    }

    /// The ids of the requests that it served, in order; a request without an id is `-`.
    pub fn served(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log)
            .unwrap()
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    }

    /// The file that it writes them to.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// Whole lines of the log: id, method and target as received.
    pub fn log(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves for ever when this process was started as an upstream; returns at once otherwise.
pub fn run_if_asked() {
    let Ok(path) = std::env::var(LOG) else { return };
    let log = OpenOptions::new().append(true).open(path).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("upstream at http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::new(Mutex::new(log)));
        axum::serve(listener, app).await.unwrap();
    });
}

async fn answer(
    State(log): State<Arc<Mutex<File>>>,
    Query(query): Query<HashMap<String, String>>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let id = headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or("-")
        .to_owned();
    // One write on a file opened for appending: it is there, whole, before the answer begins.
    log.lock()
        .unwrap()
        .write_all(format!("{id} {method} {uri}\n").as_bytes())
        .unwrap();
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(delay) = number("delay") {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut response = Response::new(content(&method, &body, &number));
    if let Some(status) = number("status") {
        *response.status_mut() = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
    }
    if let Some(tokens) = number("tokens") {
        response.headers_mut().insert("x-tokens", HeaderValue::from(tokens));
    }
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn content(method: &Method, body: &Bytes, number: &dyn Fn(&str) -> Option<u64>) -> Body {
    if let Some(tokens) = number("tokens") {
        return Body::from(format!(r#"{{"id":"x","usage":{{"other":1,"total_tokens":{tokens}}}}}"#));
    }
    if let Some(bytes) = number("bytes") {
        return Body::from(vec![b'x'; usize::try_from(bytes).unwrap()]);
    }
    if let Some(chunks) = number("chunks") {
        let gap = Duration::from_millis(number("gap").unwrap_or(0));
        return Body::from_stream(futures_util::stream::unfold(0, move |sent| async move {
            if sent == chunks {
                return None;
            }
            tokio::time::sleep(gap).await;
            Some((
                Ok::<_, std::io::Error>(Bytes::from(format!("piece {sent}\n"))),
                sent + 1,
            ))
        }));
    }
    if *method == Method::POST {
        Body::from(format!(r#"{{"received":{}}}"#, body.len()))
    } else {
        Body::from("{}")
    }
}
