//! People who can log in at once: for a demo, whose passwords are generated anew at each start and printed.

use domain::clock::Clock;
use domain::ids::{AccountId, UserId};
use store::{AccountRole, Actor, NewUser, StaffRole, Store};

use super::password;
use crate::first_admin::Error;

/// Who shall be able to log in.
#[derive(Debug, Clone)]
pub struct LoginWish {
    /// E-mail address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Roles in the provider's staff.
    pub staff_roles: Vec<StaffRole>,
    /// An organisation that they belong to, with their role in it.
    pub membership: Option<(AccountId, AccountRole)>,
}

/// Makes sure that a person can log in, and gives the password, which is a new one. Their address counts as verified.
///
/// # Errors
/// See [`Error`].
pub async fn ensure_login(store: &Store, clock: &Clock, wish: LoginWish) -> Result<String, Error> {
    let secret = domain::key::secret("", domain::random::bytes());
    let hash = password::hash(&secret).await?;
    let mut tx = store.change(Actor::system("demo"), clock.now()).await?;
    let id = match tx.user_by_email(&wish.email).await? {
        Some(user) => {
            tx.set_password(user.id, &hash).await?;
            user.id
        }
        None => {
            let new = NewUser {
                id: UserId::new(clock.now(), domain::random::bytes()),
                email: wish.email,
                name: wish.name,
                password_hash: Some(hash),
                staff_roles: wish.staff_roles,
            };
            let user = tx.create_user(new).await?;
            tx.verify_email(user.id).await?;
            user.id
        }
    };
    if let Some((account, role)) = wish.membership {
        tx.set_member(account, id, role).await?;
    }
    tx.commit().await?;
    Ok(secret)
}
