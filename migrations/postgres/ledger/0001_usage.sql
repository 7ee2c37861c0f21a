-- Numbers the commits of usage: whoever reads totals reads this number with them.
CREATE TABLE ledger_commit (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    n BIGINT NOT NULL
);
INSERT INTO ledger_commit (id, n) VALUES (1, 0);

-- How far each producer is counted. `next_seq` moves by compare-and-set alone.
CREATE TABLE producer (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    worker BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    alive_through BIGINT,
    ended TEXT CHECK (ended IN ('orderly', 'interrupted')),
    owner_epoch BIGINT NOT NULL
);

-- Totals. The period is the one that admission reserved from; the outcome is the class that billable policies look at.
CREATE TABLE usage_bucket (
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    mode TEXT NOT NULL,
    api TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (subscription, period_start, segment, plan_version, meter, mode, api, operation, outcome, bucket)
);
CREATE INDEX usage_bucket_time ON usage_bucket (bucket);

-- What analytics has not stored yet, and has.
CREATE TABLE analytics_batch (
    ledger_commit BIGINT NOT NULL,
    producer TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    done BOOLEAN NOT NULL,
    PRIMARY KEY (ledger_commit, producer, first_seq)
);
CREATE INDEX analytics_batch_pending ON analytics_batch (done, ledger_commit);

-- Requests that their gateway listed as open and has not ended yet.
CREATE TABLE open_request (
    producer TEXT NOT NULL,
    request_id TEXT NOT NULL,
    admitted_at BIGINT NOT NULL,
    record BYTEA NOT NULL,
    PRIMARY KEY (producer, request_id, admitted_at)
);

-- Requests that were open when their gateway ended; facts of their own, numbered above all journal records.
CREATE TABLE interrupted_request (
    producer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    ledger_commit BIGINT NOT NULL,
    record BYTEA NOT NULL,
    PRIMARY KEY (producer, seq)
);

-- Records that may be missing. `to_seq` and `since` are unknown where they are NULL.
CREATE TABLE usage_gap (
    producer TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT,
    kind TEXT NOT NULL,
    since BIGINT,
    found_at BIGINT NOT NULL,
    PRIMARY KEY (producer, from_seq)
);

-- The same record twice with another content: the first is kept.
CREATE TABLE usage_conflict (
    producer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kept_sha256 TEXT NOT NULL,
    refused_sha256 TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (producer, seq, refused_sha256)
);

-- Records that are there and cannot be read; counted by nobody until they are requeued.
CREATE TABLE quarantine (
    producer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    reason TEXT NOT NULL,
    raw BYTEA NOT NULL,
    found_at BIGINT NOT NULL,
    requeued_at BIGINT,
    PRIMARY KEY (producer, seq)
);
