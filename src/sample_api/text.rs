//! Figures about a text.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};

use super::Problem;

const MAX_CHARACTERS: usize = 100_000;

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
}

#[derive(Serialize)]
pub(super) struct Usage {
    total_tokens: usize,
}

#[derive(Serialize)]
pub(super) struct Figures {
    characters: usize,
    words: usize,
    sentences: usize,
    usage: Usage,
}

pub(super) async fn figures(body: Result<Json<Text>, JsonRejection>) -> Result<Json<Figures>, Problem> {
    let Json(Text { text }) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let characters = text.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(Problem::bad_request(format!(
            "at most {MAX_CHARACTERS} characters; this text has {characters}"
        )));
    }
    let words = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .count();
    let marks = text.chars().filter(char::is_ascii_punctuation).count();
    let ends_open = text
        .trim_end()
        .chars()
        .next_back()
        .is_some_and(|last| !matches!(last, '.' | '!' | '?'));
    let stops = text
        .split_whitespace()
        .filter(|word| word.ends_with(['.', '!', '?']))
        .count();
    Ok(Json(Figures {
        characters,
        words,
        sentences: stops + usize::from(ends_open),
        usage: Usage {
            total_tokens: words + marks,
        },
    }))
}
