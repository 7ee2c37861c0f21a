-- Gateways that share their counters, and the runs of each whose usage may not all be in the ledger yet.
CREATE TABLE counter_nodes (
    node TEXT PRIMARY KEY,
    fence INTEGER NOT NULL,
    has_left INTEGER NOT NULL,
    runs_json TEXT NOT NULL
) STRICT;
