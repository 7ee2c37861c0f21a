//! Rows of either database, read by column name.

use std::fmt;
use std::str::FromStr;

use domain::clock::Timestamp;
use sqlx::Row as _;

use crate::{Error, Result};

/// A row of either database.
pub enum Row {
    /// From SQLite.
    Sqlite(sqlx::sqlite::SqliteRow),
    /// From Postgres.
    Postgres(sqlx::postgres::PgRow),
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Row")
    }
}

/// Where in a row a value stands.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The column of this name.
    Name(&'a str),
    /// The column at this position, from 0.
    Index(usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// Reads the column.
    ///
    /// # Errors
    /// [`Error::Decode`] when the column is absent, NULL or of another type.
    fn from_column(row: &Row, at: At<'_>) -> Result<Self>;
}

/// A type that a row can be read as.
pub trait FromRow: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// [`Error::Decode`] when a column does not fit.
    fn from_row(row: &Row) -> Result<Self>;
}

impl Row {
    /// The value of the column of this name.
    ///
    /// # Errors
    /// [`Error::Decode`] when the column is absent, NULL (for a type that is not an `Option`) or of another type.
    pub fn get<T: FromColumn>(&self, name: &str) -> Result<T> {
        T::from_column(self, At::Name(name))
    }

    /// The value of the column at this position, from 0.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn at<T: FromColumn>(&self, index: usize) -> Result<T> {
        T::from_column(self, At::Index(index))
    }

    /// The value of a text column, parsed.
    ///
    /// # Errors
    /// As [`Row::get`], and when the text does not parse.
    pub fn parse<T>(&self, name: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        parsed(self, At::Name(name))
    }

    /// The value of a text column that holds JSON.
    ///
    /// # Errors
    /// As [`Row::get`], and when the JSON does not fit the type.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text: String = self.get(name)?;
        serde_json::from_str(&text).map_err(|error| Error::decode(name, error))
    }

    /// The value of a nullable text column that holds JSON.
    ///
    /// # Errors
    /// As [`Row::json`].
    pub fn json_opt<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.get::<Option<String>>(name)? {
            None => Ok(None),
            Some(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| Error::decode(name, error)),
        }
    }

    /// The value of a text column that holds a word of a closed set.
    ///
    /// # Errors
    /// As [`Row::get`], and when the word is not of the set.
    pub fn word<T>(&self, name: &str, from_word: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let word: String = self.get(name)?;
        from_word(&word).ok_or_else(|| Error::decode(name, format!("unknown word {word:?}")))
    }

    fn is_null(&self, at: At<'_>) -> Result<bool> {
        use sqlx::ValueRef as _;
        let null = match (self, at) {
            (Self::Sqlite(row), At::Name(name)) => row.try_get_raw(name).map(|value| value.is_null()),
            (Self::Sqlite(row), At::Index(index)) => row.try_get_raw(index).map(|value| value.is_null()),
            (Self::Postgres(row), At::Name(name)) => row.try_get_raw(name).map(|value| value.is_null()),
            (Self::Postgres(row), At::Index(index)) => row.try_get_raw(index).map(|value| value.is_null()),
        };
        null.map_err(|error| Error::decode(&at, error))
    }
}

pub(crate) fn parsed<T>(row: &Row, at: At<'_>) -> Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    String::from_column(row, at)?
        .parse()
        .map_err(|error: T::Err| Error::decode(&at, error))
}

macro_rules! columns {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
                // The SQLite driver reads a NULL number as 0 and a NULL text as empty; Postgres refuses.
                if row.is_null(at)? {
                    return Err(Error::decode(&at, "unexpected null"));
                }
                match (row, at) {
                    (Row::Sqlite(row), At::Name(name)) => row.try_get(name),
                    (Row::Sqlite(row), At::Index(index)) => row.try_get(index),
                    (Row::Postgres(row), At::Name(name)) => row.try_get(name),
                    (Row::Postgres(row), At::Index(index)) => row.try_get(index),
                }
                .map_err(|error| Error::decode(&at, error))
            }
        }
    )*};
}

columns!(String, i64, bool, Vec<u8>);

macro_rules! narrowed {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
                <$type>::try_from(i64::from_column(row, at)?).map_err(|error| Error::decode(&at, error))
            }
        }
    )*};
}

narrowed!(i32, u8, u16, u32, u64);

impl FromColumn for Timestamp {
    fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
        i64::from_column(row, at).map(Timestamp::from_millis)
    }
}

impl FromColumn for serde_json::Value {
    fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
        serde_json::from_str(&String::from_column(row, at)?).map_err(|error| Error::decode(&at, error))
    }
}

impl FromColumn for domain::key::KeyHash {
    fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
        <[u8; 32]>::from_column(row, at).map(Self)
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
        let bytes = Vec::<u8>::from_column(row, at)?;
        bytes
            .try_into()
            .map_err(|_| Error::decode(&at, format!("not {N} bytes")))
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(row: &Row, at: At<'_>) -> Result<Self> {
        if row.is_null(at)? {
            Ok(None)
        } else {
            T::from_column(row, at).map(Some)
        }
    }
}
