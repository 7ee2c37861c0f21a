//! The audit log: append-only, each event hashed together with the hash of the one before it.
//!
//! Invariants: rows are never changed or deleted (triggers refuse it on both databases); positions have no holes;
//! whoever changes a row in the file itself breaks the chain, which [`Store::verify_audit`] finds.

use domain::clock::Timestamp;
use domain::ids::{AccountId, AuditEventId};
use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::control::{Actor, AuditEvent};
use crate::kind::Kind;
use crate::page::Page;
use crate::{FromRow, Result, Row, Store, Tx, args};

const VERIFY_PAGE: i64 = 500;

/// One event as stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRecord {
    /// Its id.
    pub id: AuditEventId,
    /// Its position in the chain, from 1.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// `<kind>.<verb>`.
    pub action: String,
    /// Kind of the thing changed.
    pub kind: Kind,
    /// Its id or name.
    pub target: String,
    /// The account that it belongs to.
    pub account_id: Option<AccountId>,
    /// The thing before.
    pub before: Option<Json>,
    /// The thing after.
    pub after: Option<Json>,
    /// Hash of the event before this one, in hexadecimal; empty for the first.
    pub prev_hash: String,
    /// Hash of this event, in hexadecimal.
    pub hash: String,
}

impl FromRow for AuditRecord {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            seq: row.get("seq")?,
            at: row.get("occurred_at")?,
            actor: Actor {
                kind: row.get("actor_kind")?,
                id: row.get("actor_id")?,
                address: row.get("actor_address")?,
            },
            action: row.get("action")?,
            kind: row.parse("target_kind")?,
            target: row.get("target_id")?,
            account_id: row.get("account_id")?,
            before: row.json_opt("before_json")?,
            after: row.json_opt("after_json")?,
            prev_hash: row.get("prev_hash")?,
            hash: row.get("hash")?,
        })
    }
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// Events whose hash was right, from the first on.
    pub verified: i64,
    /// Hash of the last of them.
    pub head: String,
    /// Position of the first event that is missing or was changed.
    pub broken_at: Option<i64>,
}

/// Which audit events to list; empty fields do not filter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this account alone.
    pub account: Option<AccountId>,
    /// About this kind of thing.
    pub kind: Option<Kind>,
    /// About this thing.
    pub target: Option<String>,
    /// By this person or about them.
    pub person: Option<domain::ids::UserId>,
}

pub(crate) struct Entry<'a> {
    pub(crate) at: Timestamp,
    pub(crate) actor: &'a Actor,
    pub(crate) events: &'a [AuditEvent],
}

/// Where the chain ends.
struct Head {
    seq: i64,
    hash: String,
}

/// Appends events. The caller's transaction is the only one that writes the control database.
pub(crate) async fn append(tx: &mut Tx, entry: &Entry<'_>) -> Result<()> {
    if entry.events.is_empty() {
        return Ok(());
    }
    let last = tx
        .row("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1", args![])
        .await?;
    let mut head = match &last {
        None => Head {
            seq: 0,
            hash: String::new(),
        },
        Some(row) => Head {
            seq: row.get("seq")?,
            hash: row.get("hash")?,
        },
    };
    for event in entry.events {
        head = append_one(tx, entry, event, head).await?;
    }
    Ok(())
}

async fn append_one(tx: &mut Tx, entry: &Entry<'_>, event: &AuditEvent, head: Head) -> Result<Head> {
    let (at, actor, seq, prev_hash) = (entry.at, entry.actor, head.seq + 1, head.hash);
    let (before, after) = (
        event.before.as_ref().map(Json::to_string),
        event.after.as_ref().map(Json::to_string),
    );
    let account = event.account.map(|id| id.to_string());
    let digest = chain_hash(&[
        Some(&prev_hash),
        Some(&seq.to_string()),
        Some(&at.as_millis().to_string()),
        Some(&actor.kind),
        Some(&actor.id),
        actor.address.as_deref(),
        Some(&event.action),
        Some(event.kind.as_str()),
        Some(&event.target),
        account.as_deref(),
        before.as_deref(),
        after.as_deref(),
    ]);
    let hash = crate::migrate::hex(&digest);
    let id = AuditEventId::new(at, std::array::from_fn(|index| digest[index]));
    tx.execute(
        "INSERT INTO audit_events (seq, id, occurred_at, actor_kind, actor_id, actor_address, action, target_kind, target_id,
            account_id, before_json, after_json, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        args![
            seq, id, at, &actor.kind, &actor.id, actor.address.as_deref(), &event.action, event.kind.as_str(), &event.target,
            account, before, after, prev_hash, &hash
        ],
    )
    .await?;
    Ok(Head { seq, hash })
}

/// SHA-256 over the fields, each with its length in front, so that no two lists of fields give the same bytes.
fn chain_hash(fields: &[Option<&str>]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for field in fields {
        match field {
            None => hasher.update([0]),
            Some(text) => {
                hasher.update([1]);
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
        }
    }
    hasher.finalize().into()
}

fn stored_hash(row: &Row) -> Result<String> {
    let text = |name| row.get::<Option<String>>(name);
    let number = |name| row.get::<i64>(name).map(|number| number.to_string());
    let (seq, at) = (number("seq")?, number("occurred_at")?);
    let names = [
        "actor_kind",
        "actor_id",
        "actor_address",
        "action",
        "target_kind",
        "target_id",
        "account_id",
        "before_json",
        "after_json",
    ];
    let mut fields = vec![text("prev_hash")?, Some(seq), Some(at)];
    for name in names {
        fields.push(text(name)?);
    }
    let fields: Vec<_> = fields.iter().map(Option::as_deref).collect();
    Ok(crate::migrate::hex(&chain_hash(&fields)))
}

impl Store {
    /// Audit events, newest first.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn audit_events(&self, filter: &AuditFilter, page: &Page) -> Result<Vec<AuditRecord>> {
        self.control
            .all(
                "SELECT * FROM audit_events
                 WHERE ($1 IS NULL OR account_id = $1) AND ($2 IS NULL OR target_kind = $2) AND ($3 IS NULL OR target_id = $3)
                   AND ($4 IS NULL OR seq < (SELECT seq FROM audit_events WHERE id = $4))
                   AND ($6 IS NULL OR (actor_kind = 'user' AND actor_id = $6) OR (target_kind = 'user' AND target_id = $6))
                 ORDER BY seq DESC LIMIT $5",
                args![
                    filter.account, filter.kind.map(Kind::as_str), filter.target.as_deref(), page.after(), page.limit(),
                    filter.person
                ],
            )
            .await
    }

    /// Recomputes the chain from the first event on.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn verify_audit(&self) -> Result<AuditChain> {
        let mut tx = self.control.read().await?;
        let mut chain = AuditChain {
            verified: 0,
            head: String::new(),
            broken_at: None,
        };
        loop {
            let rows = tx
                .rows(
                    "SELECT * FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2",
                    args![chain.verified, VERIFY_PAGE],
                )
                .await?;
            if rows.is_empty() {
                return Ok(chain);
            }
            for row in &rows {
                let (seq, prev, hash): (i64, String, String) =
                    (row.get("seq")?, row.get("prev_hash")?, row.get("hash")?);
                if seq != chain.verified + 1 || prev != chain.head || hash != stored_hash(row)? {
                    chain.broken_at = Some(chain.verified + 1);
                    return Ok(chain);
                }
                chain.verified = seq;
                chain.head = hash;
            }
        }
    }
}
