-- Raised by the triggers of tables and rows that never change; an argument replaces "is append-only".
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% %', TG_TABLE_NAME, COALESCE(TG_ARGV[0], 'is append-only') USING ERRCODE = 'TG001';
END $$;

-- The revision orders what becomes visible to the gateways; floor is the newest revision whose changes are forgotten.
CREATE TABLE revision (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    n BIGINT NOT NULL,
    floor BIGINT NOT NULL CHECK (floor <= n)
);
INSERT INTO revision (id, n, floor) VALUES (1, 0, 0);

CREATE TABLE config_changes (
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (revision, kind, id)
);
CREATE INDEX config_changes_changed_at ON config_changes (changed_at);

CREATE TABLE audit_events (
    seq BIGINT PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE,
    occurred_at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_address TEXT,
    action TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    account_id TEXT,
    before_json TEXT,
    after_json TEXT,
    prev_hash TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE
);
CREATE INDEX audit_events_account ON audit_events (account_id, seq);
CREATE INDEX audit_events_target ON audit_events (target_kind, target_id, seq);

CREATE TRIGGER audit_events_no_update BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
