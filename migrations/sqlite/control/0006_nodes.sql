-- What gateways of other processes say of themselves, and the test clock that every process of a deployment follows.
CREATE TABLE gateway_nodes (
    node TEXT PRIMARY KEY,
    region TEXT NOT NULL,
    version TEXT NOT NULL,
    revision INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    waiting_records INTEGER NOT NULL,
    clock_offset_ms INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE test_clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    offset_ms INTEGER NOT NULL,
    frozen_at INTEGER
) STRICT;
