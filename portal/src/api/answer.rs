//! Small pieces that handlers share: answers, ids in paths, checks of names.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use domain::quantity::Quantity;
use serde::Serialize;
use serde_json::Value as Json;

use super::idempotency::ShownOnce;
use crate::http::problem::{Fault, Problem};

/// What a handler returns.
pub(crate) type Answer = Result<Response, Problem>;

const MAX_NAME: usize = 200;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Problem::internal().into_response()
        }
    }
}

/// A number where it is whole, a decimal string otherwise: JSON has no exact decimals.
pub(crate) fn number(quantity: Quantity) -> Json {
    quantity
        .whole_units()
        .map_or_else(|| Json::String(quantity.to_string()), Json::from)
}

/// 204.
pub(crate) fn none() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Marks an answer that holds a secret: it is not kept for replays, which get the id alone.
pub(crate) fn secret(id: &str, mut response: Response) -> Response {
    response.extensions_mut().insert(ShownOnce(id.to_owned()));
    response
}

/// The id in the path `…/{id}`. A text that is no id is an unknown thing, not a fault.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parameter(parts, state, "id").await.map(Self)
    }
}

/// The ids in the path `…/{id}/…/{cid}`.
#[derive(Debug)]
pub(crate) struct Ids<T, U>(pub(crate) T, pub(crate) U);

impl<T: FromStr + Send, U: FromStr, S: Send + Sync> FromRequestParts<S> for Ids<T, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(
            parameter(parts, state, "id").await?,
            parameter(parts, state, "cid").await?,
        ))
    }
}

async fn parameter<T: FromStr, S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<T, Problem> {
    let unknown = || Problem::missing("thing under this address");
    let parameters = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| unknown())?;
    let text = parameters
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value);
    text.and_then(|text| text.parse().ok()).ok_or_else(unknown)
}

/// The product and plan in the path `/plans/{product}/{plan}/…`.
#[derive(Debug)]
pub(crate) struct PlanPath {
    /// Name of the product.
    pub(crate) product: String,
    /// Name of the plan.
    pub(crate) plan: String,
}

impl<S: Send + Sync> FromRequestParts<S> for PlanPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self {
            product: parameter(parts, state, "product").await?,
            plan: parameter(parts, state, "plan").await?,
        })
    }
}

/// Adds a fault unless the text is a name for people: 1 to 200 characters, none of them a control character.
pub(crate) fn check_name(faults: &mut Vec<Fault>, pointer: &str, name: &str) {
    let length = name.trim().chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        faults.push(Fault::at(
            pointer,
            format!("write 1 to {MAX_NAME} characters without control characters"),
        ));
    }
}

/// Adds a fault unless the text looks like an e-mail address.
pub(crate) fn check_email(faults: &mut Vec<Fault>, pointer: &str, email: &str) {
    let looks_right = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if !looks_right
        || email.len() > 254
        || email
            .chars()
            .any(|letter| letter.is_control() || letter.is_whitespace())
    {
        faults.push(Fault::at(pointer, "write an e-mail address such as name@example.com"));
    }
}

/// 400 when there are faults.
pub(crate) fn no_faults(faults: Vec<Fault>) -> Result<(), Problem> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}
