//! Invitations into an account or to staff. Only the hash of the secret in the link is stored; it works once.

use domain::clock::Timestamp;
use domain::ids::{AccountId, InvitationId};
use domain::key::KeyHash;
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// A new invitation.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Id that the caller made.
    pub id: InvitationId,
    /// The account; `None` invites to staff.
    pub account_id: Option<AccountId>,
    /// Address invited.
    pub email: String,
    /// Names of the roles given.
    pub roles: Vec<String>,
    /// Hash of the secret in the link.
    pub secret_hash: KeyHash,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invitation {
    /// Id.
    pub id: InvitationId,
    /// The account; `None` for staff.
    pub account_id: Option<AccountId>,
    /// Address invited.
    pub email: String,
    /// Names of the roles given.
    pub roles: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
}

impl FromRow for Invitation {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            email: row.get("email")?,
            roles: row.json("roles_json")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            accepted_at: row.get("accepted_at")?,
        })
    }
}

const OPEN: &str = "SELECT * FROM invitations WHERE secret_hash = $1 AND accepted_at IS NULL AND expires_at > $2";

impl Store {
    /// Invitations that are still open at `now`: of one account when `account` is given, else to staff.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn invitations(
        &self,
        scope: Scope,
        account: Option<AccountId>,
        now: Timestamp,
        page: &Page,
    ) -> Result<Vec<Invitation>> {
        self.control
            .all(
                "SELECT * FROM invitations
                 WHERE (account_id = $1 OR ($1 IS NULL AND account_id IS NULL)) AND ($2 IS NULL OR account_id = $2)
                   AND accepted_at IS NULL AND expires_at > $3 AND ($4 IS NULL OR id > $4) ORDER BY id LIMIT $5",
                args![account, scope.account(), now, page.after(), page.limit()],
            )
            .await
    }

    /// The open invitation with this secret.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open_invitation(&self, secret: KeyHash, now: Timestamp) -> Result<Option<Invitation>> {
        self.control.one(OPEN, args![secret, now]).await
    }
}

impl ControlTx {
    /// Adds an invitation.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope does not hold the account.
    pub async fn create_invitation(&mut self, new: &NewInvitation) -> Result<Invitation> {
        match (new.account_id, self.scope()) {
            (Some(account), _) => drop(self.account_in_force(account).await?),
            (None, Scope::All) => {}
            (None, Scope::Account(_)) => return Err(Error::Missing("account")),
        }
        let now = self.now();
        self.execute(
            "INSERT INTO invitations (id, account_id, email, roles_json, secret_hash, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![
                new.id,
                new.account_id,
                new.email.trim(),
                serde_json::to_string(&new.roles)?,
                new.secret_hash,
                now,
                new.expires_at
            ],
        )
        .await?;
        let after = Invitation {
            id: new.id,
            account_id: new.account_id,
            email: new.email.trim().to_owned(),
            roles: new.roles.clone(),
            created_at: now,
            expires_at: new.expires_at,
            accepted_at: None,
        };
        let note = Note {
            kind: Kind::Invitation,
            id: new.id.to_string(),
            account: new.account_id,
            before: None,
            after: Some(&after),
        };
        self.note("create", note)?;
        Ok(after)
    }

    /// Uses up the open invitation with this secret; the caller then adds the person and the role.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is unknown, used or expired.
    pub async fn accept_invitation(&mut self, secret: KeyHash) -> Result<Invitation> {
        let now = self.now();
        let before: Invitation = self
            .one(OPEN, args![secret, now])
            .await?
            .ok_or(Error::Missing("invitation"))?;
        self.execute(
            "UPDATE invitations SET accepted_at = $2 WHERE id = $1",
            args![before.id, now],
        )
        .await?;
        let after = Invitation {
            accepted_at: Some(now),
            ..before.clone()
        };
        let note = Note {
            kind: Kind::Invitation,
            id: before.id.to_string(),
            account: before.account_id,
            before: Some(&before),
            after: Some(&after),
        };
        self.note("accept", note)?;
        Ok(after)
    }

    /// Withdraws an invitation that was not accepted. Returns whether there was one in scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn withdraw_invitation(&mut self, id: InvitationId) -> Result<bool> {
        let scope = self.scope().account();
        let found: Option<Invitation> = self
            .one(
                "SELECT * FROM invitations WHERE id = $1 AND ($2 IS NULL OR account_id = $2) AND accepted_at IS NULL",
                args![id, scope],
            )
            .await?;
        let Some(before) = found else { return Ok(false) };
        self.execute("DELETE FROM invitations WHERE id = $1", args![id]).await?;
        let note = Note {
            kind: Kind::Invitation,
            id: id.to_string(),
            account: before.account_id,
            before: Some(&before),
            after: None,
        };
        self.note("withdraw", note)?;
        Ok(true)
    }
}
