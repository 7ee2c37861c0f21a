-- How far each partition of a usage log is counted, and whose it is. Moves by compare-and-set, in the transaction that
-- counts what lies below; a claim takes the next epoch.
CREATE TABLE usage_position (
    log TEXT NOT NULL,
    part INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    owner_epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY (log, part)
) STRICT, WITHOUT ROWID;

-- Where in a log the records of a batch are; NULL for those of a journal in the same process.
ALTER TABLE analytics_batch ADD COLUMN log TEXT;
ALTER TABLE analytics_batch ADD COLUMN part INTEGER;
ALTER TABLE analytics_batch ADD COLUMN from_offset INTEGER;
ALTER TABLE analytics_batch ADD COLUMN to_offset INTEGER;

-- With an end, `raw` is a message of a log that holds the records below it. `ledger_commit` counted it after a requeue.
ALTER TABLE quarantine ADD COLUMN to_seq INTEGER;
ALTER TABLE quarantine ADD COLUMN ledger_commit INTEGER;
