//! An upstream that reads HTTP/1.1 strictly, with a parser of its own, and logs every byte that it was sent.
//!
//! It is a process of its own: this very test binary, run again; each binary that uses it has a test named
//! `raw_upstream_process` that calls [`run_if_asked`]. Every request is logged before it is answered, with 200,
//! `X-Upstream: raw` and its target in `X-Target`. What is not plainly one request is logged as a fault. A target that
//! contains `early` is answered before its body is read.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

const DIR: &str = "TOLLGATE_TEST_RAW_UPSTREAM";
const LOG: &str = "requests.jsonl";

/// One request, as the upstream read it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    /// All values of a field.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let same = |known: &&(String, String)| known.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A line of the log.
#[derive(Debug, Clone)]
pub enum Entry {
    Request(Seen),
    /// Bytes that are no request to a strict reader.
    Fault(String),
    /// A request of which the end did not come.
    Cut,
}

/// A running upstream.
pub struct RawUpstream {
    child: Child,
    pub url: String,
    dir: PathBuf,
    read: AtomicU64,
}

impl RawUpstream {
    pub fn start(dir: &Path) -> Self {
        let dir = dir.join(format!("raw-upstream-{}", super::ports::free()));
        std::fs::create_dir_all(&dir).unwrap();
        File::create(dir.join(LOG)).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "raw_upstream_process", "--nocapture"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .find_map(|line| line.unwrap().split("upstream at ").nth(1).map(str::to_owned))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url,
            dir,
            read: AtomicU64::new(0),
        }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    /// What was logged since the last call.
    pub fn new_entries(&self) -> Vec<Entry> {
        let mut file = File::open(self.dir.join(LOG)).unwrap();
        file.seek(SeekFrom::Start(self.read.load(Ordering::Relaxed))).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read.fetch_add(whole as u64, Ordering::Relaxed);
        text[..whole].lines().map(parse_entry).collect()
    }

    /// The requests that were logged since the last call.
    ///
    /// # Panics
    /// If there was a fault.
    pub fn new_requests(&self) -> Vec<Seen> {
        let request = |entry| match entry {
            Entry::Request(seen) => Some(seen),
            Entry::Fault(fault) => panic!("the upstream could not read what it was sent: {fault}"),
            Entry::Cut => None,
        };
        self.new_entries().into_iter().filter_map(request).collect()
    }

    /// Every byte that came over every connection, one after another.
    pub fn raw(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.dir).unwrap().map(|file| file.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|end| end == "bin"))
            .flat_map(|path| std::fs::read(path).unwrap())
            .collect()
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn parse_entry(line: &str) -> Entry {
    let value: Value = serde_json::from_str(line).unwrap();
    if let Some(fault) = value["fault"].as_str() {
        return Entry::Fault(fault.to_owned());
    }
    if value["cut"] == true {
        return Entry::Cut;
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = value["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect();
    Entry::Request(Seen {
        method: text(&value["method"]),
        target: text(&value["target"]),
        headers,
        body: unhex(value["body"].as_str().unwrap()),
    })
}

/// Serves for ever when this process was started as such an upstream; returns at once otherwise.
pub fn run_if_asked() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = PathBuf::from(dir);
    let log = Arc::new(OpenOptions::new().append(true).open(dir.join(LOG)).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("upstream at http://{}", listener.local_addr().unwrap());
    for (number, stream) in listener.incoming().enumerate() {
        let (log, raw) = (
            Arc::clone(&log),
            File::create(dir.join(format!("{number}.bin"))).unwrap(),
        );
        std::thread::spawn(move || {
            Reader {
                stream: stream.unwrap(),
                raw,
                buffer: Vec::new(),
            }
            .serve(&log);
        });
    }
}

enum Stop {
    Cut,
    Fault(String),
}

fn fault<T>(what: &str, bytes: &[u8]) -> Result<T, Stop> {
    Err(Stop::Fault(format!("{what}: {}", bytes.escape_ascii())))
}

struct Reader {
    stream: TcpStream,
    raw: File,
    buffer: Vec<u8>,
}

enum Length {
    Fixed(usize),
    Chunked,
}

impl Reader {
    fn serve(mut self, log: &File) {
        self.stream.set_nodelay(true).unwrap();
        let note = |value: Value| (&*log).write_all(format!("{value}\n").as_bytes()).unwrap();
        loop {
            match self.request() {
                Ok(Some((seen, unanswered))) => {
                    note(seen);
                    if unanswered.is_some_and(|target| self.answer(&target).is_err()) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(Stop::Cut) => return note(json!({ "cut": true })),
                Err(Stop::Fault(fault)) => {
                    note(json!({ "fault": fault }));
                    let _ = self
                        .stream
                        .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                    return;
                }
            }
        }
    }

    fn answer(&mut self, target: &str) -> std::io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Upstream: raw\r\nX-Target: {target}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        self.stream.write_all(head.as_bytes())
    }

    /// More bytes; `false` at the end of the stream.
    fn more(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.raw.write_all(&piece[..count]).unwrap();
                self.buffer.extend_from_slice(&piece[..count]);
                true
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, Stop> {
        while self.buffer.len() < count {
            if !self.more() {
                return Err(Stop::Cut);
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// A line without its end, which must be CR LF; no other control character may be in it.
    fn line(&mut self) -> Result<Vec<u8>, Stop> {
        let end = loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if !self.more() {
                return Err(Stop::Cut);
            }
        };
        let mut line = self.take(end + 1)?;
        line.pop();
        if line.pop() != Some(b'\r') {
            return fault("a line that does not end in CR LF", &line);
        }
        if line
            .iter()
            .any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
        {
            return fault("a control character in a line", &line);
        }
        Ok(line)
    }

    /// The next request for the log, and its target if that is still to be answered.
    fn request(&mut self) -> Result<Option<(Value, Option<String>)>, Stop> {
        if self.buffer.is_empty() && !self.more() {
            return Ok(None);
        }
        let (method, target) = self.request_line()?;
        let headers = self.fields()?;
        let length = length_of(&headers)?;
        let is_early = target.contains("early");
        if is_early && self.answer(&target).is_err() {
            return Err(Stop::Cut);
        }
        let body = match length {
            Length::Fixed(length) => self.take(length)?,
            Length::Chunked => self.chunks()?,
        };
        let mut hex = String::new();
        for byte in &body {
            write!(hex, "{byte:02x}").unwrap();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Vec<_> = headers.iter().map(|(name, value)| json!([name, text(value)])).collect();
        let seen = json!({ "method": method, "target": target, "headers": headers, "body": hex });
        Ok(Some((seen, (!is_early).then_some(target))))
    }

    fn request_line(&mut self) -> Result<(String, String), Stop> {
        let line = self.line()?;
        let text = String::from_utf8(line.clone()).unwrap_or_default();
        let parts: Vec<&str> = text.split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts[..] else {
            return fault("not a request line", &line);
        };
        let plain = target.starts_with('/') || (target == "*" && method == "OPTIONS");
        if method.is_empty()
            || !method
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
            || !plain
        {
            return fault("not a request line", &line);
        }
        Ok((method.to_owned(), target.to_owned()))
    }

    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, Stop> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return fault("a field without a colon", &line);
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
            if name.is_empty() || !name.iter().all(is_token) {
                return fault("a field name that is no token", &line);
            }
            fields.push((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()));
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Stop> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = String::from_utf8(line.clone()).unwrap_or_default();
            let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (true, Ok(size)) = (is_plain, usize::from_str_radix(&digits, 16)) else {
                return fault("not a chunk size", &line);
            };
            if size == 0 {
                let end = self.line()?;
                return if end.is_empty() {
                    Ok(body)
                } else {
                    fault("a trailer", &end)
                };
            }
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return fault("a chunk that does not end in CR LF", &body);
            }
        }
    }
}

fn length_of(headers: &[(String, Vec<u8>)]) -> Result<Length, Stop> {
    let all = |name: &str| -> Vec<&[u8]> {
        headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
            .collect()
    };
    if all("host").len() != 1 {
        return fault("not one host", b"");
    }
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Ok(Length::Fixed(0)),
        ([], [encoding]) if encoding.eq_ignore_ascii_case(b"chunked") => Ok(Length::Chunked),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let number = std::str::from_utf8(length).unwrap().parse();
            number.map_or_else(
                |_| fault("a length that is no number", length),
                |number| Ok(Length::Fixed(number)),
            )
        }
        _ => fault("an ambiguous length", b""),
    }
}
