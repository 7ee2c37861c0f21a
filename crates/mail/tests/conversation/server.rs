//! A small mail server that speaks real SMTP and keeps what it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server says.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// Answers to the next `RCPT TO` lines; afterwards each is taken.
    pub(crate) refusals: Vec<&'static str>,
    /// It accepts and never says a word.
    pub(crate) silent: bool,
    /// TLS from the first byte on.
    pub(crate) tls: Option<TlsAcceptor>,
}

#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn push(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, start: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(start))
    }

    pub(crate) fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }
}

pub(crate) async fn start(manner: Manner) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let refusals = Arc::new(Mutex::new(VecDeque::from(manner.refusals)));
    let ears = heard.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (heard, refusals, tls) = (ears.clone(), Arc::clone(&refusals), manner.tls.clone());
            tokio::spawn(async move {
                if manner.silent {
                    std::future::pending::<()>().await;
                }
                match tls {
                    None => talk(stream, &heard, &refusals).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => talk(stream, &heard, &refusals).await,
                        Err(_) => heard.push("TLS refused"),
                    },
                }
            });
        }
    });
    (address, heard)
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Heard, refusals: &Mutex<VecDeque<&'static str>>) {
    let mut stream = BufReader::new(stream);
    let mut in_data = false;
    let mut answer = "220 mail.test ESMTP".to_owned();
    loop {
        if !answer.is_empty() && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end_matches(['\r', '\n']);
        heard.push(line);
        answer = match (in_data, line.get(..4).unwrap_or(line).to_ascii_uppercase().as_str()) {
            (true, _) if line == "." => {
                in_data = false;
                "250 taken".to_owned()
            }
            (true, _) => String::new(),
            (false, "EHLO") => "250-mail.test\r\n250 AUTH PLAIN LOGIN".to_owned(),
            (false, "AUTH") => "235 you are known".to_owned(),
            (false, "RCPT") => refusals.lock().unwrap().pop_front().unwrap_or("250 known").to_owned(),
            (false, "DATA") => {
                in_data = true;
                "354 go on".to_owned()
            }
            (false, "QUIT") => "221 bye".to_owned(),
            (false, _) => "250 yes".to_owned(),
        };
    }
}
