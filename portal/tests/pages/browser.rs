//! What a browser without script does: keeps cookies, follows redirects, sends the fields of forms.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use portal::{LoginWish, ensure_login};
use store::{AccountRole, StaffRole};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Reply, Server, Tenant};

/// A browser. Its cookies are public, so that tests can look at them and tamper.
pub(crate) struct Browser {
    addr: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    csrf: Option<String>,
}

impl Browser {
    /// A browser that has been nowhere.
    pub(crate) fn new(server: &Server) -> Self {
        Self {
            addr: server.addr,
            cookies: BTreeMap::new(),
            csrf: None,
        }
    }

    /// Someone of staff with these roles, logged in.
    pub(crate) async fn staff(server: &Server, roles: &[StaffRole]) -> Self {
        let email = format!(
            "staff-{}@portal.test",
            roles.len() * 10 + roles.first().map_or(0, |role| *role as usize)
        );
        let wish = LoginWish {
            email,
            name: "Sam Staff".to_owned(),
            staff_roles: roles.to_vec(),
            membership: None,
        };
        Self::logged_in(server, wish).await
    }

    /// A member of a tenant's account, logged in.
    pub(crate) async fn member(server: &Server, tenant: &Tenant, role: AccountRole) -> Self {
        let wish = LoginWish {
            email: format!("{}-{}@portal.test", role.as_str(), tenant.account.to_lowercase()),
            name: "Mia Member".to_owned(),
            staff_roles: Vec::new(),
            membership: Some((tenant.account.parse().unwrap(), role)),
        };
        Self::logged_in(server, wish).await
    }

    async fn logged_in(server: &Server, wish: LoginWish) -> Self {
        let email = wish.email.clone();
        let password = ensure_login(&server.store, &server.clock, wish).await.unwrap();
        let mut browser = Self::new(server);
        browser.get("/login").await;
        let reply = browser
            .post("/login", &[("email", &email), ("password", &password)])
            .await;
        assert_eq!(reply.status, 303, "{}", reply.text);
        browser
    }

    /// Opens a page, without following where it leads.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, None, &[]).await
    }

    /// Opens a page and follows up to five redirects.
    pub(crate) async fn open(&mut self, path: &str) -> Reply {
        let mut reply = self.get(path).await;
        for _ in 0..5 {
            let Some(next) = reply.header("location").filter(|_| reply.status == 303) else {
                break;
            };
            reply = self.get(&next).await;
        }
        reply
    }

    /// Sends a form with the token of the page that was opened last.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        if self.csrf.is_none() {
            self.get("/forgot").await;
        }
        let token = self.csrf.clone().unwrap_or_default();
        let mut all = vec![("_csrf", token.as_str())];
        all.extend_from_slice(fields);
        self.send("POST", path, Some(&all), &[]).await
    }

    /// Sends a form with exactly these fields and headers.
    pub(crate) async fn post_as_is(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        self.send("POST", path, Some(fields), headers).await
    }

    /// Sends a form with a file in the field `document`.
    pub(crate) async fn upload(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        (file, content): (&str, &[u8]),
    ) -> Reply {
        const BOUNDARY: &str = "----a-boundary-that-no-document-holds";
        let mut body = Vec::new();
        let token = self.csrf();
        for (name, value) in fields.iter().copied().chain([("_csrf", token.as_str())]) {
            let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"{file}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: text/html\r\nCookie: {}\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
            self.addr,
            cookies.join("; "),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let reply = crate::support::raw_to(self.addr, &request).await;
        self.keep(&reply);
        reply
    }

    /// The token of the page that was opened last.
    pub(crate) fn csrf(&self) -> String {
        self.csrf.clone().unwrap_or_default()
    }

    /// A file as it is, byte by byte.
    pub(crate) async fn bytes(&mut self, path: &str) -> Vec<u8> {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\n\r\n",
            self.addr,
            cookies.join("; ")
        );
        let mut stream = tokio::net::TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let body = answer[end + 4..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            return unchunked(&body);
        }
        body
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: text/html\r\n\
             User-Agent: Firefox/140.0 Linux\r\nCookie: {}\r\n",
            self.addr,
            cookies.join("; ")
        );
        for (name, value) in headers {
            text += &[name, ": ", value, "\r\n"].concat();
        }
        if let Some(fields) = fields {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields.iter().copied())
                .finish();
            text += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        } else {
            text += "\r\n";
        }
        let reply = crate::support::raw_to(self.addr, text.as_bytes()).await;
        self.keep(&reply);
        reply
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.head.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            // Forms of earlier pages do not belong to the new session.
            if name.contains("session") {
                self.csrf = None;
            }
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(token) = hidden(&reply.text, "_csrf") {
            self.csrf = Some(token);
        }
    }
}

/// The content of a body that came in chunks.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|part| part == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

/// The value of the first hidden field of this name.
pub(crate) fn hidden(html: &str, name: &str) -> Option<String> {
    let start = html.find(&format!("name=\"{name}\" value=\""))?;
    let rest = html.get(start..)?;
    let value = rest.split("value=\"").nth(1)?;
    value.split('"').next().map(str::to_owned)
}
