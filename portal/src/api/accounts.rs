//! `/accounts`: the organisations that pay.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::subscription::Origin;
use serde::{Deserialize, Deserializer, Serialize};
use store::{Account, AccountFields};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::Query;

const TAG: &str = "accounts";

/// An account to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAccount {
    /// Name of the organisation.
    name: String,
    /// Where invoices go.
    email: String,
    /// ISO 4217; the deployment's unless given.
    currency: Option<String>,
    /// IANA zone of its periods; UTC unless given.
    timezone: Option<String>,
    /// ISO 3166 alpha-2.
    country: Option<String>,
    /// Postal address, lines separated by line ends.
    address: Option<String>,
    /// Tax numbers.
    #[serde(default)]
    tax_ids: Vec<String>,
}

/// What to change of an account: what is absent stays, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAccount {
    /// Name of the organisation.
    name: Option<String>,
    /// Where invoices go.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Field,
    /// IANA zone; takes effect at the next period boundary.
    timezone: Option<String>,
    /// ISO 3166 alpha-2.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    country: Field,
    /// Postal address.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Field,
    /// Tax numbers.
    tax_ids: Option<Vec<String>>,
}

/// A text in a change.
#[derive(Debug, Default)]
enum Field {
    /// Not written: it stays.
    #[default]
    Absent,
    /// Null: it is cleared.
    Null,
    /// Another text.
    Text(String),
}

impl Field {
    fn over(self, old: Option<String>) -> Option<String> {
        match self {
            Self::Absent => old,
            Self::Null => None,
            Self::Text(text) => Some(text),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Text))
    }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountBody {
    #[schema(value_type = String)]
    id: AccountId,
    name: String,
    email: Option<String>,
    currency: String,
    timezone: String,
    country: Option<String>,
    address: Option<String>,
    tax_ids: Vec<String>,
    #[schema(value_type = String)]
    origin: Origin,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Account> for AccountBody {
    fn from(
        Account {
            id,
            fields,
            created_at,
            updated_at,
            ..
        }: Account,
    ) -> Self {
        Self {
            id,
            name: fields.name,
            email: fields.email,
            currency: fields.currency,
            timezone: fields.timezone,
            country: fields.country,
            address: fields.address,
            tax_ids: fields.tax_ids,
            origin: fields.origin,
            created_at,
            updated_at,
        }
    }
}

/// `POST /accounts`
pub(crate) async fn create(State(app): State<App>, caller: Caller, Body(wanted): Body<CreateAccount>) -> Answer {
    let fields = AccountFields {
        name: wanted.name,
        email: Some(wanted.email),
        currency: match wanted.currency {
            Some(currency) => currency,
            None => crate::configuration::settings(&app).await?.billing.currency,
        },
        timezone: wanted.timezone.unwrap_or_else(|| "UTC".to_owned()),
        country: wanted.country,
        address: wanted.address,
        tax_ids: wanted.tax_ids,
        origin: Origin::Api,
    };
    answer::no_faults(faults(&fields))?;
    let mut tx = caller.change(&app).await?;
    let account = tx
        .create_account(AccountId::new(app.clock.now(), App::seed()), &fields)
        .await?;
    app.commit(tx).await?;
    Ok(answer::json(StatusCode::CREATED, &AccountBody::from(account)))
}

/// Documentation of [`create`].
pub(crate) fn create_doc() -> Doc {
    Doc::new(TAG, "createAccount", "Make an account")
        .body::<CreateAccount>()
        .answer::<AccountBody>(201, "The account")
}

/// What is wrong with the fields of an account.
pub(crate) fn faults(fields: &AccountFields) -> Vec<Fault> {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "/name", &fields.name);
    if let Some(email) = &fields.email {
        answer::check_email(&mut faults, "/email", email);
    }
    if fields.currency.parse::<domain::money::Currency>().is_err() {
        faults.push(Fault::at("/currency", "write a currency code of ISO 4217 such as USD"));
    }
    if jiff::tz::TimeZone::get(&fields.timezone).is_err() {
        faults.push(Fault::at(
            "/timezone",
            "write a zone of the IANA database such as Europe/Berlin",
        ));
    }
    if fields
        .country
        .as_ref()
        .is_some_and(|code| code.len() != 2 || !code.bytes().all(|letter| letter.is_ascii_uppercase()))
    {
        faults.push(Fault::at(
            "/country",
            "write a country code of ISO 3166 in two capital letters such as DE",
        ));
    }
    faults
}

/// `GET /accounts`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let items = app
        .store
        .accounts(caller.scope(), &page)
        .await?
        .into_iter()
        .map(AccountBody::from)
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |account| account.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listAccounts", "List accounts")
        .query::<Paging>()
        .answer::<Listed<AccountBody>>(200, "Accounts, oldest first")
}

/// `GET /accounts/{id}`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Id(id): Id<AccountId>) -> Answer {
    let account = visible(&app, &caller, id).await?;
    Ok(answer::json(StatusCode::OK, &AccountBody::from(account)))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getAccount", "Get an account").answer::<AccountBody>(200, "The account")
}

/// The account in force, when the caller may see it.
pub(super) async fn visible(app: &App, caller: &Caller, id: AccountId) -> Result<Account, Problem> {
    let account = app.store.account(caller.scope(), id).await?;
    account
        .filter(|account| account.deleted_at.is_none())
        .ok_or_else(|| Problem::missing("account"))
}

/// `PATCH /accounts/{id}`
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(wanted): Body<ChangeAccount>,
) -> Answer {
    let mut tx = caller.change(&app).await?;
    let before = tx
        .account(id)
        .await?
        .filter(|account| account.deleted_at.is_none())
        .ok_or_else(|| Problem::missing("account"))?;
    let was = before.fields;
    let fields = AccountFields {
        name: wanted.name.unwrap_or(was.name),
        email: wanted.email.over(was.email),
        currency: was.currency,
        timezone: wanted.timezone.unwrap_or(was.timezone),
        country: wanted.country.over(was.country),
        address: wanted.address.over(was.address),
        tax_ids: wanted.tax_ids.unwrap_or(was.tax_ids),
        origin: was.origin,
    };
    answer::no_faults(faults(&fields))?;
    let account = tx.update_account(id, &fields).await?;
    app.commit(tx).await?;
    Ok(answer::json(StatusCode::OK, &AccountBody::from(account)))
}

/// Documentation of [`change`].
pub(crate) fn change_doc() -> Doc {
    Doc::new(TAG, "changeAccount", "Change an account")
        .body::<ChangeAccount>()
        .answer::<AccountBody>(200, "The account")
}

/// `DELETE /accounts/{id}`
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Id(id): Id<AccountId>) -> Answer {
    visible(&app, &caller, id).await?;
    caller.provider_only()?;
    let mut tx = caller.change(&app).await?;
    tx.delete_account(id).await?;
    app.commit(tx).await?;
    Ok(answer::none())
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "deleteAccount", "Delete an account")
        .text("Only an account without consumers can be deleted. Its invoices stay.")
        .empty(204, "It is deleted")
}
