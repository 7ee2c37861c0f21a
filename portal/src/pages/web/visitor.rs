//! Who looks at a page: their session, their organisation, how they want to see it.
//!
//! Invariant: [`Member`] and [`Staff`] exist only where the access of the route has let their person in, because they are
//! made from what [`super::enter`] has put into the request; a handler that asks for one on another route fails closed.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::key::KeyHash;
use jiff::tz::TimeZone;
use store::{AccountRole, Membership, Session, StaffRole, User};
use subtle::ConstantTimeEq as _;

use super::cookie::{Cookie, Scheme};
use crate::api::caller::Caller;
use crate::app::App;
use crate::http::listen::Peer;
use crate::http::problem::{Problem, RequestId, hex};

/// A session ends when it was not used for so long.
pub(crate) const IDLE_MS: i64 = 86_400_000;
/// A session ends so long after its log-in at the latest.
pub(crate) const ABSOLUTE_MS: i64 = 14 * 86_400_000;
const TOUCH_MS: i64 = 60_000;

/// Someone who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) session: Session,
    /// Every organisation that they belong to.
    pub(crate) memberships: Vec<Membership>,
    /// The current one.
    pub(crate) membership: Option<Membership>,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// Whoever looks at a page. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Visitor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    person: Option<Person>,
    scheme: Scheme,
    theme: Option<Theme>,
    zone: TimeZone,
    form: OnceLock<String>,
    had_form: bool,
    address: Option<String>,
    path: String,
    path_and_query: String,
    request_id: String,
    now: Timestamp,
}

impl Visitor {
    /// From a request: reads the session once.
    pub(crate) async fn find(app: &App, parts: &Parts) -> Result<Self, Problem> {
        let scheme = app.links.scheme();
        let headers = &parts.headers;
        let now = app.clock.now();
        let person = person(app, headers, scheme).await?;
        let form = OnceLock::new();
        let old = Cookie::Form.read(headers, scheme);
        let had_form = old.is_some();
        if let Some(old) = old {
            let _ = form.set(old);
        }
        let zone = zone(app, headers, person.as_ref()).await?;
        Ok(Self(Arc::new(Inner {
            person,
            scheme,
            theme: match Cookie::Theme.read(headers, scheme).as_deref() {
                Some("light") => Some(Theme::Light),
                Some("dark") => Some(Theme::Dark),
                _ => None,
            },
            zone,
            form,
            had_form,
            address: parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_string()),
            path: parts.uri.path().to_owned(),
            path_and_query: parts
                .uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            request_id: parts
                .extensions
                .get::<RequestId>()
                .map(|id| id.0.clone())
                .unwrap_or_default(),
            now,
        })))
    }

    /// Who is signed in.
    pub(crate) fn person(&self) -> Option<&Person> {
        self.0.person.as_ref()
    }

    /// Whether it is someone of staff who may read a section.
    pub(crate) fn reads(&self, section: super::access::Section) -> bool {
        self.person()
            .is_some_and(|person| section.allows(&person.user.staff_roles, &axum::http::Method::GET))
    }

    /// The theme that was chosen; the system's when `None`.
    pub(crate) fn theme(&self) -> Option<Theme> {
        self.0.theme
    }

    /// The reader's time zone.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.0.zone
    }

    /// When the page is made.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.now
    }

    /// The address of the browser.
    pub(crate) fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// Whether cookies may be `Secure`.
    pub(crate) fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The path of the page.
    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    /// Path and query of the page.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.0.path_and_query
    }

    /// The id of the request.
    pub(crate) fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The token that every form carries. It is another one on each page, so that a compressed page tells nothing about
    /// the secret behind it.
    pub(crate) fn csrf(&self) -> String {
        let secret = match &self.0.person {
            Some(person) => person.session.csrf.as_str(),
            None => self.0.form.get_or_init(|| hex(&domain::random::bytes::<16>())),
        };
        masked(&hex(&domain::random::bytes::<8>()), secret)
    }

    /// The secret of the forms of someone who is not signed in, when this request has made it.
    pub(super) fn new_form_secret(&self) -> Option<&str> {
        if self.0.had_form {
            return None;
        }
        self.0.form.get().map(String::as_str)
    }

    /// Whether a form that carries this token comes from a page that was made for this visitor.
    pub(super) fn accepts_csrf(&self, token: &str) -> bool {
        let secret = match &self.0.person {
            Some(person) => Some(person.session.csrf.as_str()),
            None => self.0.form.get().filter(|_| self.0.had_form).map(String::as_str),
        };
        let (Some(secret), Some((mask, _))) = (secret, token.split_once('.')) else {
            return false;
        };
        masked(mask, secret).as_bytes().ct_eq(token.as_bytes()).into()
    }
}

fn masked(mask: &str, secret: &str) -> String {
    let tag = domain::key::hash(format!("form {mask} {secret}").as_bytes());
    format!("{mask}.{}", tag.to_hex())
}

async fn person(app: &App, headers: &HeaderMap, scheme: Scheme) -> Result<Option<Person>, Problem> {
    let Some(secret) = Cookie::Session.read(headers, scheme) else {
        return Ok(None);
    };
    let hash: KeyHash = domain::key::hash(secret.as_bytes());
    let now = app.clock.now();
    let Some(session) = app.store.session(hash, now).await? else {
        return Ok(None);
    };
    let Some(user) = app.store.user(session.user_id).await? else {
        return Ok(None);
    };
    if now.millis_since(session.seen_at) >= TOUCH_MS {
        let last = session.created_at.plus_millis(ABSOLUTE_MS);
        let until = now.plus_millis(IDLE_MS).min(last);
        app.store.touch_session(hash, now, until).await?;
    }
    let memberships = app.store.memberships(user.id).await?;
    let wanted: Option<AccountId> = Cookie::Organisation
        .read(headers, scheme)
        .and_then(|text| text.parse().ok());
    let membership = memberships
        .iter()
        .find(|one| Some(one.account_id) == wanted)
        .or_else(|| memberships.first())
        .cloned();
    Ok(Some(Person {
        user,
        session,
        memberships,
        membership,
    }))
}

/// What the browser says, else the organisation's, else UTC.
async fn zone(app: &App, headers: &HeaderMap, person: Option<&Person>) -> Result<TimeZone, Problem> {
    let said = Cookie::Zone
        .read(headers, app.links.scheme())
        .map(|name| name.replace("%2F", "/"))
        .and_then(|name| TimeZone::get(&name).ok());
    if let Some(zone) = said {
        return Ok(zone);
    }
    let Some(membership) = person.and_then(|person| person.membership.as_ref()) else {
        return Ok(TimeZone::UTC);
    };
    let account = app.store.account(store::Scope::All, membership.account_id).await?;
    Ok(account
        .and_then(|account| TimeZone::get(&account.fields.timezone).ok())
        .unwrap_or(TimeZone::UTC))
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// A member of the current organisation.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) visitor: Visitor,
    /// The current organisation.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) account_name: String,
    /// The person's role in it.
    pub(crate) role: AccountRole,
    /// Who asks the functions of the Admin API: sees this account alone.
    pub(crate) caller: Caller,
}

impl<S: Send + Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let person = visitor.person().ok_or_else(Problem::internal)?;
        let membership = person.membership.clone().ok_or_else(Problem::internal)?;
        let caller = Caller::member(person.user.id, &membership, visitor.address());
        Ok(Self {
            account: membership.account_id,
            account_name: membership.account_name,
            role: membership.role,
            caller,
            visitor,
        })
    }
}

impl Member {
    /// The person.
    pub(crate) fn user(&self) -> Result<&User, Problem> {
        self.visitor
            .person()
            .map(|person| &person.user)
            .ok_or_else(Problem::internal)
    }

    /// Whether the person's role is one of these: hides what would be refused.
    pub(crate) fn is_one_of(&self, roles: &[AccountRole]) -> bool {
        roles.contains(&self.role)
    }
}

/// Someone of the provider's staff.
#[derive(Debug, Clone)]
pub(crate) struct Staff {
    pub(crate) visitor: Visitor,
    /// Who asks the functions of the Admin API: sees every account.
    pub(crate) caller: Caller,
    /// Their roles.
    pub(crate) roles: Vec<StaffRole>,
}

impl<S: Send + Sync> FromRequestParts<S> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let person = visitor.person().ok_or_else(Problem::internal)?;
        if person.user.staff_roles.is_empty() {
            return Err(Problem::internal());
        }
        let caller = Caller::staff(person.user.id, visitor.address());
        let roles = person.user.staff_roles.clone();
        Ok(Self { visitor, caller, roles })
    }
}

impl Staff {
    /// Whether the person may change things in a section (support may not).
    pub(crate) fn may_change(&self, section: super::access::Section) -> bool {
        section.allows(&self.roles, &axum::http::Method::POST)
    }
}
