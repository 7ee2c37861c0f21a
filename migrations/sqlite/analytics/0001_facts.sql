-- Batches that are in: the proof that a replay adds nothing.
CREATE TABLE batch (
    ledger_commit INTEGER NOT NULL,
    producer TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (ledger_commit, producer, first_seq)
) STRICT, WITHOUT ROWID;

-- One row a fact. `record` is the fact as the journal had it; the columns are what queries look at.
CREATE TABLE fact (
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    ledger_commit INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    account TEXT,
    consumer TEXT,
    subscription TEXT,
    period_start INTEGER,
    api TEXT NOT NULL,
    operation TEXT NOT NULL,
    mode TEXT NOT NULL,
    status INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (producer, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_time ON fact (event_time, producer, seq);
CREATE INDEX fact_consumer ON fact (consumer, event_time, producer, seq);
CREATE INDEX fact_subscription ON fact (subscription, period_start, event_time);
CREATE INDEX fact_request ON fact (request_id);

-- Combinations that roll-ups are kept for.
CREATE TABLE dims (
    id INTEGER PRIMARY KEY,
    account TEXT, consumer TEXT, subscription TEXT, credential TEXT,
    api TEXT NOT NULL, operation TEXT NOT NULL, method TEXT NOT NULL, plan TEXT NOT NULL,
    status INTEGER NOT NULL, mode TEXT NOT NULL, outcome TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE
) STRICT;

-- Levels are the width in seconds: 60, 3600, 86400. Times are the start of the interval in milliseconds, UTC.
CREATE TABLE rollup (
    level INTEGER NOT NULL, time INTEGER NOT NULL, dims INTEGER NOT NULL REFERENCES dims (id),
    requests INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    PRIMARY KEY (level, time, dims)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_quantity (
    level INTEGER NOT NULL, time INTEGER NOT NULL, dims INTEGER NOT NULL REFERENCES dims (id), meter TEXT NOT NULL,
    units INTEGER NOT NULL, nanos INTEGER NOT NULL,
    PRIMARY KEY (level, time, dims, meter)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_latency (
    level INTEGER NOT NULL, time INTEGER NOT NULL, dims INTEGER NOT NULL REFERENCES dims (id), bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (level, time, dims, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_rejected (
    level INTEGER NOT NULL, time INTEGER NOT NULL,
    account TEXT NOT NULL, consumer TEXT NOT NULL, subscription TEXT NOT NULL,
    api TEXT NOT NULL, operation TEXT NOT NULL, mode TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (level, time, account, consumer, subscription, api, operation, mode, reason)
) STRICT, WITHOUT ROWID;

-- Refused requests kept as samples.
CREATE TABLE sample (
    producer TEXT NOT NULL, seq INTEGER NOT NULL, position INTEGER NOT NULL,
    at INTEGER NOT NULL, request_id TEXT NOT NULL, account TEXT, consumer TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (producer, seq, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX sample_request ON sample (request_id);
CREATE INDEX sample_consumer ON sample (consumer, at);
