//! Values that are bound to a statement. One small enum instead of a generic parameter for each database.

use domain::clock::Timestamp;

/// A value bound to `$1`, `$2`, …; a NULL keeps its type, because Postgres asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// TEXT.
    Text(Option<String>),
    /// BIGINT.
    Int(Option<i64>),
    /// BOOLEAN.
    Bool(Option<bool>),
    /// BLOB or BYTEA.
    Blob(Option<Vec<u8>>),
}

/// What can be bound to a statement with [`args!`](crate::args).
pub trait Bind {
    /// The bound value.
    fn bind(self) -> Value;
    /// NULL of this type.
    fn null() -> Value;
}

macro_rules! bind {
    ($($type:ty => $variant:ident($from:expr);)*) => {$(
        impl Bind for $type {
            fn bind(self) -> Value {
                Value::$variant(Some(($from)(self)))
            }
            fn null() -> Value {
                Value::$variant(None)
            }
        }
    )*};
}

bind! {
    String => Text(|text| text);
    &str => Text(str::to_owned);
    &String => Text(Clone::clone);
    std::borrow::Cow<'_, str> => Text(std::borrow::Cow::into_owned);
    i64 => Int(|number| number);
    i32 => Int(i64::from);
    u32 => Int(i64::from);
    u16 => Int(i64::from);
    u8 => Int(i64::from);
    bool => Bool(|flag| flag);
    Vec<u8> => Blob(|bytes| bytes);
    &[u8] => Blob(<[u8]>::to_vec);
    &Vec<u8> => Blob(Clone::clone);
    Timestamp => Int(Timestamp::as_millis);
    &Timestamp => Int(|at: &Timestamp| at.as_millis());
    domain::key::KeyHash => Blob(|hash: domain::key::KeyHash| hash.0.to_vec());
    &domain::key::KeyHash => Blob(|hash: &domain::key::KeyHash| hash.0.to_vec());
    &serde_json::Value => Text(|json: &serde_json::Value| json.to_string());
    serde_json::Value => Text(|json: serde_json::Value| json.to_string());
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(self) -> Value {
        Value::Blob(Some(self.to_vec()))
    }
    fn null() -> Value {
        Value::Blob(None)
    }
}

impl<const N: usize> Bind for &[u8; N] {
    fn bind(self) -> Value {
        Value::Blob(Some(self.to_vec()))
    }
    fn null() -> Value {
        Value::Blob(None)
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(self) -> Value {
        self.map_or_else(T::null, Bind::bind)
    }
    fn null() -> Value {
        T::null()
    }
}

impl Bind for Value {
    fn bind(self) -> Value {
        self
    }
    fn null() -> Value {
        Value::Text(None)
    }
}

macro_rules! ids {
    ($($name:ident),* $(,)?) => {$(
        bind! {
            domain::ids::$name => Text(|id: domain::ids::$name| id.to_string());
            &domain::ids::$name => Text(|id: &domain::ids::$name| id.to_string());
        }
        impl crate::row::FromColumn for domain::ids::$name {
            fn from_column(row: &crate::Row, at: crate::row::At<'_>) -> crate::Result<Self> {
                crate::row::parsed(row, at)
            }
        }
    )*};
}

ids!(
    AccountId,
    ConsumerId,
    CredentialId,
    SubscriptionId,
    ApiId,
    ProductId,
    PlanId,
    PlanVersionId,
    MeterId,
    UserId,
    TokenId,
    InvoiceId,
    InvoiceLineId,
    CreditNoteId,
    PaymentId,
    RunId,
    RatingRunId,
    ChargeLineId,
    PeriodId,
    LedgerEntryId,
    AuditEventId,
    InvitationId,
    NodeId,
);

/// The values of a statement, in the order of `$1`, `$2`, …
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::Bind::bind($value)),*]
    };
}
