//! Usage source to ledger, exactly once, to analytics.
