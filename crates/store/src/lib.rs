//! The relational store: SQLite or Postgres, one SQL text for both.
