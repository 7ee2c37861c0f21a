-- Words in braces are filled in by the migration: {on_cluster}, {replacing}, {aggregating}, {never_drop}, {drop_repeated}, {days}.

-- One row a fact. `record` is the fact as the journal had it; the columns are what queries look at. A fact that comes again
-- takes the place of itself (queries say FINAL), so inserting it twice changes nothing but the ledger commit it belongs to.
CREATE TABLE IF NOT EXISTS fact {on_cluster} (
    producer UInt128 CODEC(ZSTD(1)),
    seq UInt64 CODEC(Delta, ZSTD(1)),
    ledger_commit UInt64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    account String CODEC(ZSTD(1)),
    consumer String CODEC(ZSTD(1)),
    subscription String CODEC(ZSTD(1)),
    period_start Int64 CODEC(Delta, ZSTD(1)),
    api LowCardinality(String),
    operation LowCardinality(String),
    mode LowCardinality(String),
    status UInt16 CODEC(ZSTD(1)),
    outcome LowCardinality(String),
    record String CODEC(ZSTD(1)),
    INDEX fact_request request_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX fact_seq seq TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX fact_account account TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX fact_subscription subscription TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX fact_time event_time TYPE minmax GRANULARITY 1
) ENGINE = {replacing}
PARTITION BY toYYYYMMDD(event_time)
ORDER BY (consumer, event_time, producer, seq)
TTL toDateTime(event_time) + INTERVAL {days} DAY
SETTINGS {never_drop}, fsync_after_insert = 1, fsync_part_directory = 1;

-- Refused requests kept as samples; they too take the place of themselves.
CREATE TABLE IF NOT EXISTS sample {on_cluster} (
    producer UInt128 CODEC(ZSTD(1)),
    seq UInt64 CODEC(Delta, ZSTD(1)),
    position UInt32,
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    consumer String CODEC(ZSTD(1)),
    record String CODEC(ZSTD(1)),
    INDEX sample_request request_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = {replacing}
PARTITION BY toYYYYMMDD(at)
ORDER BY (consumer, at, producer, seq, position)
TTL toDateTime(at) + INTERVAL {days} DAY
SETTINGS {never_drop}, fsync_after_insert = 1, fsync_part_directory = 1;

-- Roll-ups, rejections, and which records are in them. Of one batch they are one block and so one part: they are in
-- together or not at all. That is why this table has no partitions, and why kinds that differ share it:
--   use      sums of facts; level is the width in seconds (60, 3600, 86400), time the start of the interval
--   refused  counts of rejections, at the same levels
--   batch    records first_seq to next_seq (exclusive) of a producer are in
-- `bucket` is the ordinal of 1,440 intervals of the level, so that a range of time is a range of the key.
CREATE TABLE IF NOT EXISTS rollup {on_cluster} (
    kind LowCardinality(String),
    level UInt32,
    bucket Int32,
    producer UInt128 CODEC(ZSTD(1)),
    first_seq UInt64 CODEC(ZSTD(1)),
    next_seq UInt64 CODEC(ZSTD(1)),
    account String CODEC(ZSTD(1)),
    consumer String CODEC(ZSTD(1)),
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    subscription String CODEC(ZSTD(1)),
    credential String CODEC(ZSTD(1)),
    api LowCardinality(String),
    operation LowCardinality(String),
    method LowCardinality(String),
    plan LowCardinality(String),
    status UInt16 CODEC(ZSTD(1)),
    mode LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    bytes_in SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    bytes_out SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    rejected SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    latency SimpleAggregateFunction(sumMap, Tuple(Array(UInt16), Array(UInt64))) CODEC(ZSTD(1)),
    quantities SimpleAggregateFunction(sumMap, Tuple(Array(String), Array(Int64), Array(Int64))) CODEC(ZSTD(1)),
    INDEX rollup_subscription subscription TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX rollup_time time TYPE minmax GRANULARITY 1
) ENGINE = {aggregating}
PRIMARY KEY (kind, level, bucket, producer, first_seq, next_seq, account, consumer, time)
ORDER BY (kind, level, bucket, producer, first_seq, next_seq, account, consumer, time, subscription, credential, api,
    operation, method, plan, status, mode, outcome, reason)
TTL toDateTime(time) + INTERVAL {days} DAY DELETE WHERE (kind = 'use' AND level = 60) OR kind = 'batch'
SETTINGS {drop_repeated}, fsync_after_insert = 1, fsync_part_directory = 1;
