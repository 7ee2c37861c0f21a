//! ClickHouse's HTTP interface for tests, before the real engine in this process.
//!
//!     chdb-http LIBCHDB.so DATA_DIRECTORY 127.0.0.1:PORT

mod blocks;
mod engine;
mod statement;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::Engine;
use statement::Statement;
use tokio::signal::unix::{SignalKind, signal};

const LARGEST_BODY: usize = 1 << 30;

/// The status that ClickHouse's HTTP interface gives an error.
fn status(code: u32) -> StatusCode {
    match code {
        6 | 26 | 27 | 36 | 38 | 41 | 43 | 53 | 62 | 69 | 70 | 72 | 117 | 456 | 457 => StatusCode::BAD_REQUEST,
        16 | 46 | 47 | 50 | 56 | 60 | 81 | 115 => StatusCode::NOT_FOUND,
        192 | 194 | 516 => StatusCode::FORBIDDEN,
        241 => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn failed(message: &str) -> Response {
    let code = message.split("Code: ").nth(1).and_then(|rest| rest.split('.').next());
    let code: u32 = code.and_then(|digits| digits.trim().parse().ok()).unwrap_or(1000);
    let headers = [("X-ClickHouse-Exception-Code", code.to_string())];
    (status(code), headers, format!("{message}\n")).into_response()
}

async fn read(request: Request) -> Result<Statement, String> {
    let (query, headers) = (
        request.uri().query().unwrap_or_default().to_owned(),
        request.headers().clone(),
    );
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let body = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await;
        let body = body.map_err(|error| error.to_string())?;
        return Ok(Statement::new(&query, &headers, body.to_vec()));
    }
    let mut statement = Statement::new(&query, &headers, Vec::new());
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| error.to_string())?;
    while let Some(field) = form.next_field().await.map_err(|error| error.to_string())? {
        let name = field.name().unwrap_or_default().to_owned();
        statement.field(&name, field.text().await.map_err(|error| error.to_string())?);
    }
    Ok(statement)
}

async fn answer(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    if request.uri().path() == "/ping" {
        return "Ok.\n".into_response();
    }
    // A body cut short is no statement: nothing of it runs.
    let statement = match read(request).await {
        Ok(statement) => statement,
        Err(error) => return failed(&format!("Code: 1000. DB::Exception: {error}")),
    };
    // It runs to its end even when the client goes away.
    match tokio::task::spawn_blocking(move || statement.run(&engine)).await {
        Ok(Ok((output, format))) => {
            let summary = format!(
                r#"{{"read_rows":"{}","read_bytes":"0","written_rows":"{}","written_bytes":"0","total_rows_to_read":"0","result_rows":"0","result_bytes":"{}","elapsed_ns":"0"}}"#,
                output.rows_read,
                output.rows_written,
                output.data.len()
            );
            let headers = [("X-ClickHouse-Format", format), ("X-ClickHouse-Summary", summary)];
            (headers, output.data).into_response()
        }
        Ok(Err(message)) => failed(&message),
        Err(error) => failed(&format!("Code: 1000. DB::Exception: {error}")),
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, data, address] = arguments.as_slice() else {
        return Err("chdb-http LIBCHDB.so DATA_DIRECTORY 127.0.0.1:PORT".to_owned());
    };
    let engine = Arc::new(Engine::load(library, data)?);
    // The engine lives as long as one connection is open.
    let keep = engine.open()?;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| error.to_string())?;
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    println!("ready {}", std::process::id());
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&engine));
    let ended = axum::serve(listener, routes).with_graceful_shutdown(async move {
        term.recv().await;
    });
    ended.await.map_err(|error| error.to_string())?;
    engine.close_idle();
    engine.close(keep);
    Ok(())
}
