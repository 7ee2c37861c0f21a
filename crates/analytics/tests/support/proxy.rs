//! A proxy before ClickHouse that knows where a request ends, and what may happen to one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use analytics::testing::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What happens to the next insertion into a table.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The server does it, the answer is lost.
    AnswerLost,
    /// The server does it, is killed and started again, the answer is lost.
    KilledAfter(Arc<Server>),
    /// The client gives up; the server gets the request when told so.
    Late(Arc<Notify>),
    /// It never arrives.
    Refused,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    next: Arc<Mutex<Option<(&'static str, Fault)>>>,
    /// Faults that happened.
    pub(crate) happened: Arc<AtomicU32>,
    /// Rings when a late request has been carried out.
    pub(crate) arrived: Arc<Notify>,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            next: Arc::default(),
            happened: Arc::default(),
            arrived: Arc::default(),
        };
        let parts = (proxy.next.clone(), proxy.happened.clone(), proxy.arrived.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (next, happened, arrived) = parts.clone();
                tokio::spawn(async move {
                    let mut client = client;
                    let Some(request) = read_request(&mut client).await else {
                        return;
                    };
                    let fault = take(&next, &request);
                    if fault.is_some() {
                        happened.fetch_add(1, Ordering::SeqCst);
                    }
                    carry(client, request, server, fault, arrived).await;
                });
            }
        });
        proxy
    }

    /// The next insertion into `table` meets this fault.
    pub(crate) fn meet(&self, table: &'static str, fault: Fault) {
        *self.next.lock().unwrap() = Some((table, fault));
    }
}

fn take(next: &Mutex<Option<(&'static str, Fault)>>, request: &[u8]) -> Option<Fault> {
    let line = String::from_utf8_lossy(&request[..request.len().min(4_000)]).into_owned();
    let mut next = next.lock().unwrap();
    let meets = next
        .as_ref()
        .is_some_and(|(table, _)| line.contains(&format!("INSERT+INTO+%60{table}%60")));
    if meets {
        next.take().map(|(_, fault)| fault)
    } else {
        None
    }
}

async fn carry(mut client: TcpStream, request: Vec<u8>, server: u16, fault: Option<Fault>, arrived: Arc<Notify>) {
    match fault {
        None => {
            if let Some(answer) = ask(server, &request).await {
                let _ = client.write_all(&answer).await;
            }
        }
        Some(Fault::AnswerLost) => drop(ask(server, &request).await),
        Some(Fault::KilledAfter(running)) => {
            ask(server, &request).await;
            tokio::task::spawn_blocking(move || running.kill_and_start())
                .await
                .unwrap();
        }
        Some(Fault::Late(go)) => {
            drop(client);
            go.notified().await;
            ask(server, &request).await;
            arrived.notify_one();
        }
        Some(Fault::Refused) => {}
    }
}

/// The whole answer of the server; `None` when it gave none.
async fn ask(server: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(("127.0.0.1", server)).await.ok()?;
    connection.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.ok()?;
    Some(answer).filter(|answer| !answer.is_empty())
}

/// One request, told to be the last of its connection.
async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length: Option<usize> = text
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    let chunked = text.contains("transfer-encoding: chunked");
    let whole = |bytes: &[u8]| match length {
        Some(length) => bytes.len() >= head + length,
        None if chunked => chunks_end(&bytes[head..]),
        None => true,
    };
    while !whole(&bytes) {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    bytes.splice(head - 2..head - 2, *b"connection: close\r\n");
    Some(bytes)
}

/// Whether a chunked body is at its end.
fn chunks_end(mut body: &[u8]) -> bool {
    loop {
        let Some(line) = body.windows(2).position(|two| two == b"\r\n") else {
            return false;
        };
        let Ok(digits) = std::str::from_utf8(&body[..line]) else {
            return false;
        };
        let Ok(size) = usize::from_str_radix(digits.trim(), 16) else {
            return false;
        };
        let next = line + 2 + size + 2;
        if body.len() < next {
            return false;
        }
        if size == 0 {
            return true;
        }
        body = &body[next..];
    }
}
