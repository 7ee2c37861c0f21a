//! The sample API as a process of its own. It ends when this process does, however that ends: it watches its standard
//! input, which closes with us.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::sample_api::SECRET_VARIABLE;

/// The running process; dropping it ends the process.
#[derive(Debug)]
pub(super) struct SampleApi {
    child: Child,
    url: String,
}

impl SampleApi {
    /// Starts this binary again as the sample API and waits for its address.
    pub(super) fn start(secret: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sample-api", "--listen", "127.0.0.1:0", "--until-input-closes"])
            .env(SECRET_VARIABLE, secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim();
        if address.is_empty() {
            let _ = child.kill();
            let status = child.wait()?;
            return Err(io::Error::other(format!("it ended at once: {status}")));
        }
        let url = format!("http://{address}");
        Ok(Self { child, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for SampleApi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
