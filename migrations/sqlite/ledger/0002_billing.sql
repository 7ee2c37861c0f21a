-- How far billing has come with each subscription. Times before these are settled; derived, and safe to move back.
CREATE TABLE billing_cursor (
    subscription TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    usage_from INTEGER NOT NULL,
    recurring_from INTEGER NOT NULL,
    settled INTEGER NOT NULL
) STRICT;
CREATE INDEX billing_cursor_account ON billing_cursor (account);

-- Periods whose usage was rated for good. What is counted in them later is late.
CREATE TABLE rated_period (
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    PRIMARY KEY (subscription, period_start)
) STRICT, WITHOUT ROWID;

-- Usage that came after its period was rated and that no run has looked at yet. Filled by triggers on usage_bucket.
CREATE TABLE late_usage (
    id INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    requests INTEGER NOT NULL
) STRICT;
CREATE INDEX late_usage_subscription ON late_usage (subscription);

-- Late usage that came too late to be billed.
CREATE TABLE written_off (
    id INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    found_at INTEGER NOT NULL
) STRICT;
CREATE INDEX written_off_period ON written_off (subscription, period_start);

-- Rated periods with late usage that the next invoice takes up.
CREATE TABLE pending_correction (
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    PRIMARY KEY (subscription, period_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE rating_run (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('interim', 'final', 'correction', 'reissue')),
    cutoff TEXT NOT NULL,
    policy INTEGER NOT NULL,
    rated_at INTEGER NOT NULL,
    closing_json TEXT NOT NULL,
    UNIQUE (subscription, period_start, kind, cutoff)
) STRICT;

-- One line per price, segment and document. seq makes a second charge of the same thing a violation of the constraint.
CREATE TABLE charge_line (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES rating_run (id),
    account TEXT NOT NULL,
    subscription TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    price TEXT NOT NULL,
    segment INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT,
    currency TEXT NOT NULL,
    cum_qty TEXT NOT NULL,
    quantity_units INTEGER NOT NULL,
    quantity_nanos INTEGER NOT NULL,
    exact_amount TEXT NOT NULL,
    cum_minor INTEGER NOT NULL,
    billed_before_minor INTEGER NOT NULL,
    delta_minor INTEGER NOT NULL,
    from_commit INTEGER NOT NULL,
    through_commit INTEGER NOT NULL,
    late_before INTEGER,
    document TEXT NOT NULL,
    detail_json TEXT NOT NULL,
    UNIQUE (subscription, period_start, price, segment, seq),
    CHECK (delta_minor = cum_minor - billed_before_minor)
) STRICT;
CREATE INDEX charge_line_document ON charge_line (document);

CREATE TABLE document_counter (
    kind TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT;

-- A draft has no number. Once it has one the row never changes.
CREATE TABLE invoice (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    due INTEGER NOT NULL,
    idem_key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    subtotal INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    total INTEGER NOT NULL CHECK (total = subtotal + tax AND total >= 0),
    body_json TEXT NOT NULL,
    number TEXT UNIQUE,
    finalized_at INTEGER,
    due_at INTEGER,
    CHECK ((number IS NULL) = (finalized_at IS NULL) AND (number IS NULL) = (due_at IS NULL))
) STRICT;
CREATE INDEX invoice_account ON invoice (account, id);

CREATE TABLE invoice_line (
    invoice TEXT NOT NULL REFERENCES invoice (id),
    n INTEGER NOT NULL CHECK (n > 0),
    id TEXT NOT NULL UNIQUE,
    charge_line TEXT NOT NULL UNIQUE REFERENCES charge_line (id),
    description TEXT NOT NULL,
    quantity TEXT NOT NULL,
    unit_label TEXT NOT NULL,
    unit_price TEXT,
    tiers_json TEXT NOT NULL,
    amount INTEGER NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    PRIMARY KEY (invoice, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE invoice_event (
    invoice TEXT NOT NULL REFERENCES invoice (id),
    n INTEGER NOT NULL CHECK (n > 0),
    status TEXT NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (invoice, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE credit_note (
    id TEXT PRIMARY KEY,
    invoice TEXT NOT NULL REFERENCES invoice (id),
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    net INTEGER NOT NULL CHECK (net > 0),
    tax INTEGER NOT NULL CHECK (tax >= 0),
    total INTEGER NOT NULL CHECK (total = net + tax),
    created_at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL
) STRICT;
CREATE INDEX credit_note_invoice ON credit_note (invoice);

CREATE TABLE credit_note_line (
    credit_note TEXT NOT NULL REFERENCES credit_note (id),
    invoice TEXT NOT NULL,
    line INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (credit_note, line),
    FOREIGN KEY (invoice, line) REFERENCES invoice_line (invoice, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX credit_note_line_invoice ON credit_note_line (invoice, line);

CREATE TABLE payment (
    id TEXT PRIMARY KEY,
    invoice TEXT NOT NULL REFERENCES invoice (id),
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL,
    reference TEXT,
    amount INTEGER NOT NULL CHECK (amount > 0),
    created_at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL
) STRICT;
CREATE INDEX payment_invoice ON payment (invoice);

-- Double entry: debits above zero, credits below; each txn adds up to zero.
CREATE TABLE ledger_entry (
    txn TEXT NOT NULL,
    n INTEGER NOT NULL,
    account TEXT NOT NULL,
    book TEXT NOT NULL CHECK (book IN ('receivable', 'revenue', 'tax', 'cash', 'balance')),
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    document TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (txn, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_entry_account ON ledger_entry (account, book, currency);
CREATE INDEX ledger_entry_document ON ledger_entry (document);

CREATE TABLE billing_run (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('due', 'interim')),
    account TEXT,
    finalize INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done')),
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    lease_until INTEGER,
    requested_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX billing_run_state ON billing_run (state, id);

CREATE TRIGGER usage_bucket_late_insert AFTER INSERT ON usage_bucket
WHEN NEW.mode = 'live' AND EXISTS
    (SELECT 1 FROM rated_period p WHERE p.subscription = NEW.subscription AND p.period_start = NEW.period_start)
BEGIN
    INSERT INTO late_usage (subscription, period_start, segment, plan_version, meter, operation, outcome, bucket, units, nanos, requests)
    VALUES (NEW.subscription, NEW.period_start, NEW.segment, NEW.plan_version, NEW.meter, NEW.operation, NEW.outcome, NEW.bucket,
        NEW.units, NEW.nanos, NEW.requests);
END;
CREATE TRIGGER usage_bucket_late_update AFTER UPDATE ON usage_bucket
WHEN NEW.mode = 'live' AND EXISTS
    (SELECT 1 FROM rated_period p WHERE p.subscription = NEW.subscription AND p.period_start = NEW.period_start)
BEGIN
    INSERT INTO late_usage (subscription, period_start, segment, plan_version, meter, operation, outcome, bucket, units, nanos, requests)
    VALUES (NEW.subscription, NEW.period_start, NEW.segment, NEW.plan_version, NEW.meter, NEW.operation, NEW.outcome, NEW.bucket,
        NEW.units - OLD.units, NEW.nanos - OLD.nanos, NEW.requests - OLD.requests);
END;

CREATE TRIGGER rated_period_no_update BEFORE UPDATE ON rated_period
BEGIN SELECT RAISE(ABORT, 'rated_period is append-only'); END;
CREATE TRIGGER rated_period_no_delete BEFORE DELETE ON rated_period
BEGIN SELECT RAISE(ABORT, 'rated_period is append-only'); END;
CREATE TRIGGER written_off_no_update BEFORE UPDATE ON written_off
BEGIN SELECT RAISE(ABORT, 'written_off is append-only'); END;
CREATE TRIGGER written_off_no_delete BEFORE DELETE ON written_off
BEGIN SELECT RAISE(ABORT, 'written_off is append-only'); END;
CREATE TRIGGER rating_run_no_update BEFORE UPDATE ON rating_run
BEGIN SELECT RAISE(ABORT, 'rating_run is append-only'); END;
CREATE TRIGGER rating_run_no_delete BEFORE DELETE ON rating_run
BEGIN SELECT RAISE(ABORT, 'rating_run is append-only'); END;
CREATE TRIGGER charge_line_no_update BEFORE UPDATE ON charge_line
BEGIN SELECT RAISE(ABORT, 'charge_line is append-only'); END;
CREATE TRIGGER charge_line_no_delete BEFORE DELETE ON charge_line
BEGIN SELECT RAISE(ABORT, 'charge_line is append-only'); END;
CREATE TRIGGER invoice_final BEFORE UPDATE ON invoice WHEN OLD.number IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'invoice never changes once it has a number'); END;
CREATE TRIGGER invoice_no_delete BEFORE DELETE ON invoice
BEGIN SELECT RAISE(ABORT, 'invoice is never deleted'); END;
CREATE TRIGGER invoice_line_final BEFORE INSERT ON invoice_line
WHEN EXISTS (SELECT 1 FROM invoice i WHERE i.id = NEW.invoice AND i.number IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'invoice_line belongs to an invoice that never changes'); END;
CREATE TRIGGER invoice_line_no_update BEFORE UPDATE ON invoice_line
BEGIN SELECT RAISE(ABORT, 'invoice_line is append-only'); END;
CREATE TRIGGER invoice_line_no_delete BEFORE DELETE ON invoice_line
BEGIN SELECT RAISE(ABORT, 'invoice_line is append-only'); END;
CREATE TRIGGER invoice_event_no_update BEFORE UPDATE ON invoice_event
BEGIN SELECT RAISE(ABORT, 'invoice_event is append-only'); END;
CREATE TRIGGER invoice_event_no_delete BEFORE DELETE ON invoice_event
BEGIN SELECT RAISE(ABORT, 'invoice_event is append-only'); END;
CREATE TRIGGER credit_note_no_update BEFORE UPDATE ON credit_note
BEGIN SELECT RAISE(ABORT, 'credit_note is append-only'); END;
CREATE TRIGGER credit_note_no_delete BEFORE DELETE ON credit_note
BEGIN SELECT RAISE(ABORT, 'credit_note is append-only'); END;
CREATE TRIGGER credit_note_line_no_update BEFORE UPDATE ON credit_note_line
BEGIN SELECT RAISE(ABORT, 'credit_note_line is append-only'); END;
CREATE TRIGGER credit_note_line_no_delete BEFORE DELETE ON credit_note_line
BEGIN SELECT RAISE(ABORT, 'credit_note_line is append-only'); END;
CREATE TRIGGER payment_no_update BEFORE UPDATE ON payment
BEGIN SELECT RAISE(ABORT, 'payment is append-only'); END;
CREATE TRIGGER payment_no_delete BEFORE DELETE ON payment
BEGIN SELECT RAISE(ABORT, 'payment is append-only'); END;
CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'ledger_entry is append-only'); END;
CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'ledger_entry is append-only'); END;
