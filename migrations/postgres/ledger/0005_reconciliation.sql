-- What metering handed to analytics for a batch: its facts and the span of their time. NULL for batches before this.
ALTER TABLE analytics_batch ADD COLUMN facts BIGINT;
ALTER TABLE analytics_batch ADD COLUMN first_at BIGINT;
ALTER TABLE analytics_batch ADD COLUMN last_at BIGINT;
CREATE INDEX analytics_batch_time ON analytics_batch (last_at, first_at);

-- Reconciliations that were asked for, each once by its slot, and what they found. `claimed_until` is a lease.
CREATE TABLE reconciliation (
    slot TEXT NOT NULL PRIMARY KEY,
    asked_at BIGINT NOT NULL,
    from_time BIGINT NOT NULL,
    to_time BIGINT NOT NULL,
    claimed_until BIGINT,
    done_at BIGINT,
    discrepancy BIGINT,
    report TEXT
);
CREATE INDEX reconciliation_done ON reconciliation (done_at, asked_at);
