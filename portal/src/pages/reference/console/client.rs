//! The one HTTP client of the pages. It speaks to this deployment's gateway and to nobody else.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use reference::request::{Body, Content, HeaderValue as Written, Part};
use reference::{Request, highlight};
use serving::stream::Stream;
use serving::tls::ClientTls;
use tokio::net::TcpStream;

use crate::http::problem::hex;
use crate::pages::reference::parts::status_class;
use crate::pages::web::{Html, escape, show};

/// A request may take so long, with its answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const LONGEST: usize = 256 << 10;
/// Bytes of an answer that are shown in colours.
const COLOURED: usize = 48 << 10;
const MOST_HEADERS: usize = 100;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The address of the gateway is not one that can be called.
    #[error("the address of the gateway cannot be used")]
    Address,
    /// What was typed cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// Nobody is there.
    #[error("the gateway does not answer: {0}")]
    Connect(#[from] std::io::Error),
    /// It does not speak HTTP.
    #[error("the gateway has ended the connection: {0}")]
    Http(#[from] hyper::Error),
    /// It takes too long.
    #[error("no answer within 30 seconds")]
    Late,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    reason: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_cut: bool,
    took: Duration,
}

/// An answer as the page shows it.
pub(super) struct Shown {
    pub(super) status: String,
    pub(super) class: &'static str,
    pub(super) took: String,
    pub(super) size: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Html,
    pub(super) is_cut: bool,
    pub(super) request_id: Option<String>,
}

/// Whether a header is for the connection or for us to set: forms do not have it.
pub(super) fn is_ours(name: &str) -> bool {
    const OURS: [&str; 13] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "authorization",
        "content-type",
    ];
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Sends a request whose address begins with that of the API, to the gateway, with a key.
pub(super) async fn send(gateway: &str, request: &Request, key: &str) -> Result<Answer, Error> {
    let started = Instant::now();
    let sent = tokio::time::timeout(DEADLINE, exchange(gateway, request, key));
    let (head, body, is_cut) = sent.await.map_err(|_| Error::Late)??;
    let headers = head.headers.iter().take(MOST_HEADERS).map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).replace(key, "[key]");
        (name.to_string(), value)
    });
    Ok(Answer {
        status: head.status.as_u16(),
        reason: head.status.canonical_reason().unwrap_or_default(),
        headers: headers.collect(),
        body: without(body, key),
        is_cut,
        took: started.elapsed(),
    })
}

async fn exchange(
    gateway: &str,
    request: &Request,
    key: &str,
) -> Result<(hyper::http::response::Parts, Vec<u8>, bool), Error> {
    let outgoing = outgoing(request, key)?;
    let stream = connect(gateway).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(outgoing).await;
    let read = match answer {
        Ok(answer) => {
            let (head, mut incoming) = answer.into_parts();
            let mut body = Vec::new();
            let mut is_cut = false;
            while let Some(frame) = incoming.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                let room = LONGEST - body.len();
                body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                if data.len() > room {
                    is_cut = true;
                    break;
                }
            }
            Ok((head, body, is_cut))
        }
        Err(error) => Err(error.into()),
    };
    driver.abort();
    read
}

/// A connection to the gateway. Where requests say they go plays no part in it.
async fn connect(gateway: &str) -> Result<Stream, Error> {
    let uri: Uri = gateway.parse().map_err(|_| Error::Address)?;
    let host = uri
        .host()
        .ok_or(Error::Address)?
        .trim_start_matches('[')
        .trim_end_matches(']');
    let is_secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host, port)).await?;
    if !is_secure {
        return Ok(Stream::from(tcp));
    }
    let tls = ClientTls::new(None).map_err(|_| Error::Address)?;
    Ok(tls.connect(tcp, host).await?)
}

fn outgoing(request: &Request, key: &str) -> Result<hyper::Request<Full<Bytes>>, Error> {
    let cannot = |what: &str| Error::Request(what.to_owned());
    let uri: Uri = request.address().parse().map_err(|_| cannot("its address is none"))?;
    let method: Method = request.method.parse().map_err(|_| cannot("its method is none"))?;
    if method == Method::CONNECT {
        return Err(cannot("CONNECT is not sent from here"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().ok_or_else(|| cannot("it has no host"))?;
    let (media, body) = body(&request.body);
    let mut outgoing = hyper::Request::new(Full::new(Bytes::from(body)));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = path.parse().map_err(|_| cannot("its path is none"))?;
    let headers = outgoing.headers_mut();
    for header in request.all_headers() {
        let value = match &header.value {
            Written::Text(text) => text.clone(),
            Written::Secret { prefix, .. } => format!("{prefix}{key}"),
        };
        let is_key = matches!(header.value, Written::Secret { .. });
        if !is_key && is_ours(&header.name) {
            continue;
        }
        add(headers, &header.name, &value)?;
    }
    if let Some(media) = media {
        headers.insert(CONTENT_TYPE, value_of(&media)?);
    }
    headers.insert(HOST, value_of(host.as_str())?);
    headers.remove(CONTENT_LENGTH);
    Ok(outgoing)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::Request(format!("{name:?} is no name of a header")))?;
    let mut value = value_of(value)?;
    value.set_sensitive(name == hyper::header::AUTHORIZATION);
    headers.append(name, value);
    Ok(())
}

fn value_of(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Error::Request("a header holds what headers cannot hold".to_owned()))
}

/// Content type and bytes of a body.
fn body(body: &Body) -> (Option<String>, Vec<u8>) {
    match body {
        Body::None => (None, Vec::new()),
        Body::Json { content_type, value } => (Some(content_type.clone()), value.to_string().into_bytes()),
        Body::Form(pairs) => (
            Some("application/x-www-form-urlencoded".to_owned()),
            reference::request::form_text(pairs).into_bytes(),
        ),
        Body::Multipart(parts) => multipart(parts),
        Body::Raw { content_type, text } => (Some(content_type.clone()), text.clone().into_bytes()),
        Body::File { content_type, .. } => (Some(content_type.clone()), Vec::new()),
    }
}

/// Parts as `multipart/form-data`; files are sent empty, for a page has none to send.
fn multipart(parts: &[Part]) -> (Option<String>, Vec<u8>) {
    let boundary = hex(&domain::random::bytes::<16>());
    let plain = |text: &str| text.replace(['"', '\r', '\n'], "_");
    let mut out = String::new();
    for part in parts {
        out.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            plain(&part.name)
        ));
        let text = match &part.content {
            Content::Text(text) => text.as_str(),
            Content::File(name) => {
                out.push_str(&format!("; filename=\"{}\"", plain(name)));
                ""
            }
        };
        out.push_str("\r\n");
        if let Some(media) = &part.content_type {
            out.push_str(&format!("Content-Type: {}\r\n", plain(media)));
        }
        out.push_str(&format!("\r\n{text}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    (
        Some(format!("multipart/form-data; boundary={boundary}")),
        out.into_bytes(),
    )
}

/// A body in which no key stands: an API may send back what it got.
fn without(body: Vec<u8>, key: &str) -> Vec<u8> {
    let holds_it = body.windows(key.len().max(1)).any(|window| window == key.as_bytes());
    if !holds_it {
        return body;
    }
    String::from_utf8_lossy(&body).replace(key, "[key]").into_bytes()
}

impl Answer {
    /// Whether the gateway has not heard of the key yet.
    pub(super) fn knows_no_key(&self) -> bool {
        let is_ours = self
            .header("content-type")
            .is_some_and(|media| media.starts_with("application/problem+json"));
        self.status == 401 && is_ours && self.body.windows(19).any(|window| window == b"invalid-credentials")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The answer for the page.
    pub(super) fn shown(self) -> Shown {
        let size = show::bytes(self.body.len() as u64);
        let media = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let body = match String::from_utf8(self.body) {
            Ok(text) if text.is_empty() => Html::default(),
            Ok(text) => Html(markup(&text, &media)),
            Err(_) => Html(format!(
                "<span class=\"c\">{} of {}, which is no text</span>",
                size,
                escape(&media)
            )),
        };
        let status = self.status.to_string();
        Shown {
            class: status_class(&status),
            status: format!("{status} {}", self.reason),
            took: show::latency(u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)),
            size: if self.is_cut { format!("more than {size}") } else { size },
            request_id: self
                .headers
                .iter()
                .find(|(name, _)| name == "x-request-id")
                .map(|(_, id)| id.clone()),
            headers: self.headers,
            body,
            is_cut: self.is_cut,
        }
    }
}

fn markup(text: &str, media: &str) -> String {
    if media.contains("json") && text.len() <= COLOURED {
        let pretty = serde_json::from_str::<serde_json::Value>(text)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| text.to_owned());
        return highlight::json(&pretty).to_string();
    }
    escape(text)
}
