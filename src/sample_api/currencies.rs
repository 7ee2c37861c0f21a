//! Currencies of ISO 4217.

use axum::Json;
use axum::extract::Path;
use domain::money::Currency;
use serde::Serialize;

use super::Problem;
use super::time::Items;

#[derive(Serialize)]
pub(super) struct Entry {
    code: String,
    decimals: u32,
}

impl From<Currency> for Entry {
    fn from(currency: Currency) -> Self {
        Self {
            code: currency.to_string(),
            decimals: u32::from(currency.exponent()),
        }
    }
}

pub(super) async fn list() -> Json<Items<Entry>> {
    Items::new(Currency::all().map(Entry::from).collect())
}

pub(super) async fn one(Path(code): Path<String>) -> Result<Json<Entry>, Problem> {
    let currency = code
        .parse::<Currency>()
        .map_err(|_| Problem::not_found(format!("{code} is not a currency of ISO 4217")))?;
    Ok(Json(currency.into()))
}
