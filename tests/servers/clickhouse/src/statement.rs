//! One request of ClickHouse's HTTP interface, as far as the `clickhouse` crate uses it.

use axum::http::HeaderMap;

use crate::blocks;
use crate::engine::{Connection, Engine, Output};

/// Parameters of the interface that say nothing to this engine: it has no users and no sessions.
const IGNORED: &[&str] = &[
    "user",
    "password",
    "query_id",
    "session_id",
    "session_timeout",
    "compress",
    "wait_end_of_query",
    "role",
    "buffer_size",
    "quota_key",
];

#[derive(Default)]
pub struct Statement {
    query: Option<String>,
    database: Option<String>,
    format: Option<String>,
    settings: Vec<(String, String)>,
    params: Vec<(String, String)>,
    decompress: bool,
    body: Vec<u8>,
}

impl Statement {
    pub fn new(query_string: &str, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut statement = Self {
            database: header("x-clickhouse-database"),
            format: header("x-clickhouse-format"),
            body,
            ..Self::default()
        };
        for pair in query_string.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            statement.take(unescape(name), unescape(value));
        }
        statement
    }

    fn take(&mut self, name: String, value: String) {
        match name.as_str() {
            "query" => self.query = Some(value),
            "database" => self.database = Some(value),
            "default_format" => self.format = Some(value),
            "decompress" => self.decompress = value == "1",
            name if IGNORED.contains(&name) => {}
            _ => match name.strip_prefix("param_") {
                Some(param) => self.params.push((param.to_owned(), value)),
                None => self.settings.push((name, value)),
            },
        }
    }

    /// A field of a multipart form: the query or one of its parameters.
    pub fn field(&mut self, name: &str, text: String) {
        if name == "query" {
            self.query = Some(text);
        } else if let Some(param) = name.strip_prefix("param_") {
            self.params.push((param.to_owned(), text));
        }
    }

    /// Runs it; the answer and its format.
    pub fn run(mut self, engine: &Engine) -> Result<(Output, String), String> {
        if self.decompress {
            self.body = blocks::unpack(&self.body)?;
        }
        let connection = engine.borrow()?;
        let result = self.run_on(engine, connection);
        if self.settings.is_empty() {
            engine.give_back(connection);
        } else {
            // Its settings would hold for the next request.
            engine.close(connection);
        }
        result
    }

    fn run_on(&self, engine: &Engine, connection: Connection) -> Result<(Output, String), String> {
        let database = self.database.as_deref().unwrap_or("default").replace('`', "");
        engine.query(connection, format!("USE `{database}`").as_bytes(), "Null", &[])?;
        for (name, value) in &self.settings {
            let literal = if value.parse::<f64>().is_ok() {
                value.clone()
            } else {
                format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
            };
            engine.query(connection, format!("SET {name} = {literal}").as_bytes(), "Null", &[])?;
        }
        let format = self.format.as_deref().unwrap_or("TabSeparated");
        let Some(query) = &self.query else {
            let sql = String::from_utf8_lossy(&self.body);
            let shown = split_format(&sql).1.unwrap_or(format).to_owned();
            return Ok((engine.query(connection, &self.body, format, &self.params)?, shown));
        };
        let start = query.trim_start().get(..6).unwrap_or_default();
        let is_insert = start.eq_ignore_ascii_case("insert");
        if let (true, (head, Some(given))) = (is_insert, split_format(query)) {
            return Ok((engine.insert(connection, head, given, &self.body)?, given.to_owned()));
        }
        let mut sql = query.clone().into_bytes();
        if is_insert || !self.body.is_empty() {
            sql.push(if is_insert { b' ' } else { b'\n' });
        }
        sql.extend_from_slice(&self.body);
        Ok((engine.query(connection, &sql, format, &self.params)?, format.to_owned()))
    }
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'?'), bytes.next().unwrap_or(b'?')];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A statement without `FORMAT Name` at its very end, and the name.
fn split_format(sql: &str) -> (&str, Option<&str>) {
    let sql = sql.trim_end().trim_end_matches(';').trim_end();
    let Some(at) = sql.rfind(char::is_whitespace) else {
        return (sql, None);
    };
    let (head, name) = (sql[..at].trim_end(), &sql[at + 1..]);
    let Some(cut) = head.len().checked_sub(6).filter(|cut| head.is_char_boundary(*cut)) else {
        return (sql, None);
    };
    if head[cut..].eq_ignore_ascii_case("format") && name.chars().all(char::is_alphanumeric) {
        (head[..cut].trim_end(), Some(name))
    } else {
        (sql, None)
    }
}
