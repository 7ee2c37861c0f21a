-- What gateways of other processes say of themselves, and the test clock that every process of a deployment follows.
CREATE TABLE gateway_nodes (
    node TEXT PRIMARY KEY,
    region TEXT NOT NULL,
    version TEXT NOT NULL,
    revision BIGINT NOT NULL,
    ready BOOLEAN NOT NULL,
    waiting_records BIGINT NOT NULL,
    clock_offset_ms BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE test_clock (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    offset_ms BIGINT NOT NULL,
    frozen_at BIGINT
);
