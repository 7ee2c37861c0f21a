-- Numbers the commits of usage: whoever reads totals reads this number with them.
CREATE TABLE ledger_commit (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO ledger_commit (id, n) VALUES (1, 0);

-- How far each producer is counted. `next_seq` moves by compare-and-set alone.
CREATE TABLE producer (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    worker INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    alive_through INTEGER,
    ended TEXT CHECK (ended IN ('orderly', 'interrupted')),
    owner_epoch INTEGER NOT NULL
) STRICT;

-- Totals. The period is the one that admission reserved from; the outcome is the class that billable policies look at.
CREATE TABLE usage_bucket (
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    mode TEXT NOT NULL,
    api TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (subscription, period_start, segment, plan_version, meter, mode, api, operation, outcome, bucket)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_bucket_time ON usage_bucket (bucket);

-- What analytics has not stored yet, and has.
CREATE TABLE analytics_batch (
    ledger_commit INTEGER NOT NULL,
    producer TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (ledger_commit, producer, first_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX analytics_batch_pending ON analytics_batch (done, ledger_commit);

-- Requests that their gateway listed as open and has not ended yet.
CREATE TABLE open_request (
    producer TEXT NOT NULL,
    request_id TEXT NOT NULL,
    admitted_at INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (producer, request_id, admitted_at)
) STRICT, WITHOUT ROWID;

-- Requests that were open when their gateway ended; facts of their own, numbered above all journal records.
CREATE TABLE interrupted_request (
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    ledger_commit INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (producer, seq)
) STRICT, WITHOUT ROWID;

-- Records that may be missing. `to_seq` and `since` are unknown where they are NULL.
CREATE TABLE usage_gap (
    producer TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER,
    kind TEXT NOT NULL,
    since INTEGER,
    found_at INTEGER NOT NULL,
    PRIMARY KEY (producer, from_seq)
) STRICT, WITHOUT ROWID;

-- The same record twice with another content: the first is kept.
CREATE TABLE usage_conflict (
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kept_sha256 TEXT NOT NULL,
    refused_sha256 TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (producer, seq, refused_sha256)
) STRICT, WITHOUT ROWID;

-- Records that are there and cannot be read; counted by nobody until they are requeued.
CREATE TABLE quarantine (
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL,
    found_at INTEGER NOT NULL,
    requeued_at INTEGER,
    PRIMARY KEY (producer, seq)
) STRICT, WITHOUT ROWID;
