//! A real SMTP server on a port of its own that keeps what it is sent.
//!
//! No TLS and no AUTH: it speaks what a relay on the loopback interface speaks.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::mime::Mail;

/// A mail with its envelope.
#[derive(Debug, Clone)]
pub struct Caught {
    pub from: String,
    pub to: Vec<String>,
    pub mail: Mail,
}

#[derive(Default)]
struct Kept {
    mails: Mutex<Vec<Caught>>,
    refusals: AtomicU32,
    refused: AtomicU32,
}

/// A running server. Its threads end with the process.
pub struct Catcher {
    kept: Arc<Kept>,
    port: u16,
}

impl Catcher {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&shared);
                // A client that hangs up in the middle has sent nothing.
                std::thread::spawn(move || drop(converse(stream, &kept)));
            }
        });
        Self { kept, port }
    }

    /// What `mail.url` is set to.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Answers 451 to the next mails.
    pub fn refuse(&self, times: u32) {
        self.kept.refusals.store(times, Ordering::SeqCst);
    }

    /// How many mails were refused.
    pub fn refused(&self) -> u32 {
        self.kept.refused.load(Ordering::SeqCst)
    }

    pub fn mails(&self) -> Vec<Caught> {
        self.kept.mails.lock().unwrap().clone()
    }

    /// The newest mail to this address whose subject has these words.
    pub fn wait_for(&self, to: &str, subject: &str) -> Caught {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let fits =
                |caught: &Caught| caught.to.iter().any(|known| known == to) && caught.mail.subject.contains(subject);
            if let Some(caught) = self.mails().into_iter().rev().find(fits) {
                return caught;
            }
            assert!(
                Instant::now() < deadline,
                "no mail about {subject:?} to {to}: {:#?}",
                self.mails()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn address(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

fn converse(stream: TcpStream, kept: &Kept) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let say = move |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes());
    let (mut from, mut to) = (String::new(), Vec::new());
    say("220 catcher ESMTP")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => say("250-catcher\r\n250-8BITMIME\r\n250 SMTPUTF8")?,
            "HELO" | "NOOP" => say("250 catcher")?,
            "RSET" => {
                to.clear();
                say("250 forgotten")?;
            }
            "MAIL" => {
                from = address(&line);
                say("250 sender")?;
            }
            "RCPT" => {
                to.push(address(&line));
                say("250 recipient")?;
            }
            "DATA" => {
                say("354 end with a dot")?;
                let message = data(&mut reader)?;
                let is_refused = kept
                    .refusals
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok();
                if is_refused {
                    kept.refused.fetch_add(1, Ordering::SeqCst);
                    to.clear();
                    say("451 refused by the test")?;
                    continue;
                }
                kept.mails.lock().unwrap().push(Caught {
                    from: from.clone(),
                    to: std::mem::take(&mut to),
                    mail: Mail::parse(&message),
                });
                say("250 kept")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("502 not known here")?,
        }
    }
}

fn data(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(String::from_utf8_lossy(&message).into_owned());
        }
        let unstuffed = if line.starts_with(b"..") { &line[1..] } else { &line };
        message.extend_from_slice(unstuffed);
    }
}
