//! The first administrator of a new deployment: a token with all scopes and a person with the role admin.
//!
//! Invariant: nothing is generated where a valid token or a person of staff exists already, so a restart never makes
//! another secret.

use domain::clock::Clock;
use domain::ids::{TokenId, UserId};
use store::{Actor, NewToken, NewUser, Page, Scope, StaffRole, Store};

use crate::api::scope;
use crate::people::password::{self, HashError};

/// What the operator has chosen; the rest is generated.
#[derive(Clone, Default)]
pub struct AdminWish {
    /// `TOLLGATE_ADMIN_TOKEN`. Given, it works from now on, also where other tokens exist.
    pub token: Option<String>,
    /// `TOLLGATE_ADMIN_EMAIL`; `admin@localhost` unless given.
    pub email: Option<String>,
    /// `TOLLGATE_ADMIN_PASSWORD`.
    pub password: Option<String>,
}

impl std::fmt::Debug for AdminWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminWish")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// What was made, to be shown once. A field is `None` where nothing was generated.
#[derive(Clone, Default)]
pub struct FirstAdmin {
    /// The generated token.
    pub token: Option<String>,
    /// The address of the person, when one was made.
    pub email: Option<String>,
    /// The generated password.
    pub password: Option<String>,
}

impl std::fmt::Debug for FirstAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstAdmin")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// Why there is no first administrator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The chosen token could be guessed.
    #[error("TOLLGATE_ADMIN_TOKEN is shorter than {MIN_TOKEN} characters: choose a longer one")]
    WeakToken,
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

const MIN_TOKEN: usize = 20;

/// Makes sure that there is an administrator.
///
/// # Errors
/// See [`Error`].
pub async fn ensure_first_admin(store: &Store, clock: &Clock, wish: AdminWish) -> Result<FirstAdmin, Error> {
    let token = token(store, clock, wish.token).await?;
    let mut made = FirstAdmin {
        token,
        ..FirstAdmin::default()
    };
    if store.staff(&Page::first(1)).await?.is_empty() {
        let email = wish.email.unwrap_or_else(|| "admin@localhost".to_owned());
        let (chosen, generated) = match wish.password {
            Some(password) => (password, false),
            None => (domain::key::secret("", domain::random::bytes()), true),
        };
        let hash = password::hash(&chosen).await?;
        let id = UserId::new(clock.now(), domain::random::bytes());
        let name = "Administrator".to_owned();
        let person = NewUser {
            id,
            email: email.clone(),
            name,
            password_hash: Some(hash),
            staff_roles: vec![StaffRole::Admin],
        };
        let mut tx = store.change(Actor::system("first start"), clock.now()).await?;
        tx.create_user(person).await?;
        tx.commit().await?;
        made.email = Some(email);
        made.password = generated.then_some(chosen);
    }
    Ok(made)
}

async fn token(store: &Store, clock: &Clock, wish: Option<String>) -> Result<Option<String>, Error> {
    let now = clock.now();
    let (secret, generated) = match wish {
        Some(token) if token.len() < MIN_TOKEN => return Err(Error::WeakToken),
        Some(token) => (token, false),
        None if !store.tokens(Scope::All, &Page::first(1)).await?.is_empty() => return Ok(None),
        None => (domain::key::secret("tgt_", domain::random::bytes()), true),
    };
    let secret_hash = domain::key::hash(secret.as_bytes());
    if store.valid_token(secret_hash, now).await?.is_some() {
        return Ok(None);
    }
    let new = NewToken {
        id: TokenId::new(now, domain::random::bytes()),
        name: "first admin".to_owned(),
        secret_hash,
        scopes: scope::Scope::all().iter().map(ToString::to_string).collect(),
        account_id: None,
        expires_at: None,
    };
    let mut tx = store.change(Actor::system("first start"), now).await?;
    tx.create_token(&new).await?;
    tx.commit().await?;
    Ok(generated.then_some(secret))
}
