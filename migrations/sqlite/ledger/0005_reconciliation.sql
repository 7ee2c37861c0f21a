-- What metering handed to analytics for a batch: its facts and the span of their time. NULL for batches before this.
ALTER TABLE analytics_batch ADD COLUMN facts INTEGER;
ALTER TABLE analytics_batch ADD COLUMN first_at INTEGER;
ALTER TABLE analytics_batch ADD COLUMN last_at INTEGER;
CREATE INDEX analytics_batch_time ON analytics_batch (last_at, first_at);

-- Reconciliations that were asked for, each once by its slot, and what they found. `claimed_until` is a lease.
CREATE TABLE reconciliation (
    slot TEXT NOT NULL PRIMARY KEY,
    asked_at INTEGER NOT NULL,
    from_time INTEGER NOT NULL,
    to_time INTEGER NOT NULL,
    claimed_until INTEGER,
    done_at INTEGER,
    discrepancy INTEGER,
    report TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX reconciliation_done ON reconciliation (done_at, asked_at);
