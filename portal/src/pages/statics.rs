//! The style sheet, scripts and icons, embedded in the program. The address of each holds a hash of its content, so that
//! browsers keep it for ever and still see a new one at once.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;

const STYLE: &str = concat!(
    include_str!("../../static/tokens.css"),
    include_str!("../../static/base.css"),
    include_str!("../../static/components.css"),
    include_str!("../../static/print.css"),
);
const SCRIPT: &str = include_str!("../../static/portal.js");
const HTMX: &str = include_str!("../../static/htmx.js");
const ICONS: &str = include_str!("../../static/icons.svg");

/// Address of the style sheet.
pub(crate) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| versioned("/static/style.css", STYLE));
/// Address of our script.
pub(crate) static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| versioned("/static/portal.js", SCRIPT));
/// Address of htmx.
pub(crate) static HTMX_PATH: LazyLock<String> = LazyLock::new(|| versioned("/static/htmx.js", HTMX));

static STYLE_FILE: LazyLock<File> = LazyLock::new(|| File::new("text/css; charset=utf-8", STYLE));
static SCRIPT_FILE: LazyLock<File> = LazyLock::new(|| File::new("text/javascript; charset=utf-8", SCRIPT));
static HTMX_FILE: LazyLock<File> = LazyLock::new(|| File::new("text/javascript; charset=utf-8", HTMX));
static ICONS_FILE: LazyLock<File> = LazyLock::new(|| File::new("image/svg+xml", ICONS));

fn versioned(path: &str, content: &str) -> String {
    let hash = domain::key::hash(content.as_bytes()).to_hex();
    format!("{path}?v={}", hash.get(..12).unwrap_or_default())
}

struct File {
    media: &'static str,
    plain: Bytes,
    packed: Option<Bytes>,
}

impl File {
    fn new(media: &'static str, text: &'static str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        Self {
            media,
            plain: Bytes::from_static(text.as_bytes()),
            packed: packed.ok().map(Bytes::from),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let takes_gzip = headers
            .get(ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("gzip"));
        let packed = self.packed.as_ref().filter(|_| takes_gzip);
        let mut response = packed.unwrap_or(&self.plain).clone().into_response();
        let answer = response.headers_mut();
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        answer.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        answer.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if packed.is_some() {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// `GET /static/style.css`
pub(crate) async fn style(headers: HeaderMap) -> Response {
    STYLE_FILE.answer(&headers)
}

/// `GET /static/portal.js`
pub(crate) async fn script(headers: HeaderMap) -> Response {
    SCRIPT_FILE.answer(&headers)
}

/// `GET /static/htmx.js`
pub(crate) async fn htmx(headers: HeaderMap) -> Response {
    HTMX_FILE.answer(&headers)
}

/// `GET /static/icons.svg`
pub(crate) async fn icons(headers: HeaderMap) -> Response {
    ICONS_FILE.answer(&headers)
}

/// `GET /static/brand.css`: the colours that the provider has set. Names and values were checked when they were saved; what
/// does not look like a token is left out all the same.
pub(crate) async fn brand(State(app): State<App>) -> Result<Response, Problem> {
    let settings = configuration::settings(&app).await?;
    let mut light = String::new();
    let mut dark = String::new();
    for (name, value) in &settings.branding {
        let Some(value) = value.as_str().filter(|value| is_token_value(value)) else {
            continue;
        };
        let (sheet, token) = match name.strip_prefix("dark-") {
            Some(token) => (&mut dark, token),
            None => (&mut light, name.as_str()),
        };
        if TOKENS.contains(&token) {
            sheet.push_str(&format!("--{token}: {value}; "));
        }
    }
    let css = format!(
        "@layer brand {{ :root {{ {light}}} @media (prefers-color-scheme: dark) {{ :root:not([data-theme=\"light\"]) {{ {dark}}} }} :root[data-theme=\"dark\"] {{ {dark}}} }}"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    Ok((headers, css).into_response())
}

/// The tokens that a brand may set.
pub(crate) const TOKENS: &[&str] = &[
    "accent",
    "on-accent",
    "link",
    "focus",
    "canvas",
    "surface",
    "sunken",
    "hover",
    "line",
    "line-control",
    "ink",
    "ink-soft",
    "ink-faint",
    "good",
    "warn",
    "bad",
    "series-1",
    "series-2",
    "series-3",
    "series-4",
    "radius",
    "density",
];

/// A colour in hexadecimal, a length or a number: nothing that could leave its place in the sheet.
pub(crate) fn is_token_value(value: &str) -> bool {
    let is_colour = value
        .strip_prefix('#')
        .is_some_and(|hex| [3, 6].contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let number = value
        .strip_suffix("rem")
        .or_else(|| value.strip_suffix("px"))
        .unwrap_or(value);
    let is_number =
        !number.is_empty() && number.len() <= 6 && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_colour || is_number
}
