//! A small real upstream: one thread for each connection, behaviour by path, and a log of what arrived.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [value] => value,
            ref values => panic!("{name} is {values:?} in {self:?}"),
        }
    }
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    served: AtomicUsize,
    connections: AtomicUsize,
    aborted: AtomicUsize,
}

/// A running upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let serving = upstream.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                serving.state.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serving.connection(&stream));
            }
        });
        upstream
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The last request that arrived.
    pub(crate) fn last(&self) -> Seen {
        self.state
            .seen
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("nothing arrived")
    }

    /// Requests that arrived.
    pub(crate) fn count(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections on which an answer could not be written to its end.
    pub(crate) fn aborted(&self) -> usize {
        self.state.aborted.load(Ordering::SeqCst)
    }

    fn connection(&self, stream: &TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(seen) = read_head(&mut reader) {
            self.state.served.fetch_add(1, Ordering::SeqCst);
            let keep = self.answer(seen, &mut reader, stream);
            match keep {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    self.state.aborted.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }

    fn log(&self, seen: Seen) {
        let mut log = self.state.seen.lock().unwrap();
        if log.len() < 10_000 {
            log.push(seen);
        }
    }

    fn answer(&self, mut seen: Seen, reader: &mut BufReader<&TcpStream>, mut out: &TcpStream) -> std::io::Result<bool> {
        let path = seen.target.split('?').next().unwrap_or_default().to_owned();
        let words: Vec<&str> = path.trim_start_matches("/v1").split('/').skip(1).collect();
        if words.first() == Some(&"echo") {
            return self.echo(seen, reader, out);
        }
        seen.body = read_body(&seen, reader)?;
        let is_head = seen.method == "HEAD";
        self.log(seen);
        match words[..] {
            ["status", status] => {
                let body = if matches!(status, "204" | "304") { "" } else { "status" };
                let length = if body.is_empty() {
                    String::new()
                } else {
                    format!("Content-Length: {}\r\n", body.len())
                };
                write!(
                    out,
                    "HTTP/1.1 {status} X\r\n{length}\r\n{}",
                    if is_head { "" } else { body }
                )?;
            }
            ["slow", millis] => {
                std::thread::sleep(Duration::from_millis(millis.parse().unwrap()));
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")?;
            }
            ["chunks", count, millis] => {
                out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for _ in 0..count.parse::<u32>().unwrap() {
                    out.write_all(b"5\r\nchunk\r\n")?;
                    std::thread::sleep(Duration::from_millis(millis.parse().unwrap()));
                }
                out.write_all(b"0\r\n\r\n")?;
            }
            ["cut"] => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")?;
                return Ok(false);
            }
            ["reset"] => return Ok(false),
            ["garbage"] => {
                out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?;
                return Ok(false);
            }
            ["stale"] => {
                // Answers, then closes a connection that it said nothing about.
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")?;
                return Ok(false);
            }
            ["tokens", number] => {
                let body = format!("{{\"usage\":{{\"total\":{number}}}}}");
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\nX-Cost: 0.25\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )?;
            }
            _ => {
                let body = if is_head { "" } else { "hello" };
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Request-Id: theirs\r\n\r\n{body}"
                )?;
            }
        }
        Ok(true)
    }

    /// Sends each piece of a chunked body back as soon as it is there.
    fn echo(&self, seen: Seen, reader: &mut BufReader<&TcpStream>, mut out: &TcpStream) -> std::io::Result<bool> {
        self.log(seen);
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while let Some(chunk) = read_chunk(reader)? {
            write!(out, "{:x}\r\n", chunk.len())?;
            out.write_all(&chunk)?;
            out.write_all(b"\r\n")?;
        }
        out.write_all(b"0\r\n\r\n")?;
        Ok(true)
    }
}

fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(Seen {
                method,
                target,
                headers,
                body: Vec::new(),
            });
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(seen: &Seen, reader: &mut BufReader<&TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let [length] = seen.all("content-length")[..] {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body)?;
    } else if !seen.all("transfer-encoding").is_empty() {
        while let Some(chunk) = read_chunk(reader)? {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body)
}

fn read_chunk(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let size = usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::ErrorKind::InvalidData)?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(size);
    Ok((size > 0).then_some(chunk))
}
