-- How far billing has come with each subscription. Times before these are settled; derived, and safe to move back.
CREATE TABLE billing_cursor (
    subscription TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    usage_from BIGINT NOT NULL,
    recurring_from BIGINT NOT NULL,
    settled BOOLEAN NOT NULL
);
CREATE INDEX billing_cursor_account ON billing_cursor (account);

-- Periods whose usage was rated for good. What is counted in them later is late.
CREATE TABLE rated_period (
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    PRIMARY KEY (subscription, period_start)
);

-- Usage that came after its period was rated and that no run has looked at yet. Filled by triggers on usage_bucket.
CREATE TABLE late_usage (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    requests BIGINT NOT NULL
);
CREATE INDEX late_usage_subscription ON late_usage (subscription);

-- Late usage that came too late to be billed.
CREATE TABLE written_off (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    found_at BIGINT NOT NULL
);
CREATE INDEX written_off_period ON written_off (subscription, period_start);

-- Rated periods with late usage that the next invoice takes up.
CREATE TABLE pending_correction (
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    PRIMARY KEY (subscription, period_start)
);

CREATE TABLE rating_run (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('interim', 'final', 'correction', 'reissue')),
    cutoff TEXT NOT NULL,
    policy BIGINT NOT NULL,
    rated_at BIGINT NOT NULL,
    closing_json TEXT NOT NULL,
    UNIQUE (subscription, period_start, kind, cutoff)
);

-- One line per price, segment and document. seq makes a second charge of the same thing a violation of the constraint.
CREATE TABLE charge_line (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES rating_run (id),
    account TEXT NOT NULL,
    subscription TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    price TEXT NOT NULL,
    segment BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    plan_version TEXT NOT NULL,
    meter TEXT,
    currency TEXT NOT NULL,
    cum_qty TEXT NOT NULL,
    quantity_units BIGINT NOT NULL,
    quantity_nanos BIGINT NOT NULL,
    exact_amount TEXT NOT NULL,
    cum_minor BIGINT NOT NULL,
    billed_before_minor BIGINT NOT NULL,
    delta_minor BIGINT NOT NULL,
    from_commit BIGINT NOT NULL,
    through_commit BIGINT NOT NULL,
    late_before BIGINT,
    document TEXT NOT NULL,
    detail_json TEXT NOT NULL,
    UNIQUE (subscription, period_start, price, segment, seq),
    CHECK (delta_minor = cum_minor - billed_before_minor)
);
CREATE INDEX charge_line_document ON charge_line (document);

CREATE TABLE document_counter (
    kind TEXT PRIMARY KEY,
    n BIGINT NOT NULL
);

-- A draft has no number. Once it has one the row never changes.
CREATE TABLE invoice (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    due BIGINT NOT NULL,
    idem_key TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    subtotal BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    total BIGINT NOT NULL CHECK (total = subtotal + tax AND total >= 0),
    body_json TEXT NOT NULL,
    number TEXT UNIQUE,
    finalized_at BIGINT,
    due_at BIGINT,
    CHECK ((number IS NULL) = (finalized_at IS NULL) AND (number IS NULL) = (due_at IS NULL))
);
CREATE INDEX invoice_account ON invoice (account, id);

CREATE TABLE invoice_line (
    invoice TEXT NOT NULL REFERENCES invoice (id),
    n BIGINT NOT NULL CHECK (n > 0),
    id TEXT NOT NULL UNIQUE,
    charge_line TEXT NOT NULL UNIQUE REFERENCES charge_line (id),
    description TEXT NOT NULL,
    quantity TEXT NOT NULL,
    unit_label TEXT NOT NULL,
    unit_price TEXT,
    tiers_json TEXT NOT NULL,
    amount BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    PRIMARY KEY (invoice, n)
);

CREATE TABLE invoice_event (
    invoice TEXT NOT NULL REFERENCES invoice (id),
    n BIGINT NOT NULL CHECK (n > 0),
    status TEXT NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (invoice, n)
);

CREATE TABLE credit_note (
    id TEXT PRIMARY KEY,
    invoice TEXT NOT NULL REFERENCES invoice (id),
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    net BIGINT NOT NULL CHECK (net > 0),
    tax BIGINT NOT NULL CHECK (tax >= 0),
    total BIGINT NOT NULL CHECK (total = net + tax),
    created_at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL
);
CREATE INDEX credit_note_invoice ON credit_note (invoice);

CREATE TABLE credit_note_line (
    credit_note TEXT NOT NULL REFERENCES credit_note (id),
    invoice TEXT NOT NULL,
    line BIGINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    PRIMARY KEY (credit_note, line),
    FOREIGN KEY (invoice, line) REFERENCES invoice_line (invoice, n)
);
CREATE INDEX credit_note_line_invoice ON credit_note_line (invoice, line);

CREATE TABLE payment (
    id TEXT PRIMARY KEY,
    invoice TEXT NOT NULL REFERENCES invoice (id),
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL,
    reference TEXT,
    amount BIGINT NOT NULL CHECK (amount > 0),
    created_at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL
);
CREATE INDEX payment_invoice ON payment (invoice);

-- Double entry: debits above zero, credits below; each txn adds up to zero.
CREATE TABLE ledger_entry (
    txn TEXT NOT NULL,
    n BIGINT NOT NULL,
    account TEXT NOT NULL,
    book TEXT NOT NULL CHECK (book IN ('receivable', 'revenue', 'tax', 'cash', 'balance')),
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    document TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (txn, n)
);
CREATE INDEX ledger_entry_account ON ledger_entry (account, book, currency);
CREATE INDEX ledger_entry_document ON ledger_entry (document);

CREATE TABLE billing_run (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('due', 'interim')),
    account TEXT,
    finalize BOOLEAN NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done')),
    total BIGINT NOT NULL,
    done BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    lease_until BIGINT,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX billing_run_state ON billing_run (state, id);

CREATE FUNCTION note_late_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.mode = 'live' AND EXISTS
        (SELECT 1 FROM rated_period p WHERE p.subscription = NEW.subscription AND p.period_start = NEW.period_start) THEN
        INSERT INTO late_usage (subscription, period_start, segment, plan_version, meter, operation, outcome, bucket, units, nanos, requests)
        VALUES (NEW.subscription, NEW.period_start, NEW.segment, NEW.plan_version, NEW.meter, NEW.operation, NEW.outcome, NEW.bucket,
            NEW.units - CASE WHEN TG_OP = 'UPDATE' THEN OLD.units ELSE 0 END,
            NEW.nanos - CASE WHEN TG_OP = 'UPDATE' THEN OLD.nanos ELSE 0 END,
            NEW.requests - CASE WHEN TG_OP = 'UPDATE' THEN OLD.requests ELSE 0 END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_bucket_late AFTER INSERT OR UPDATE ON usage_bucket FOR EACH ROW EXECUTE FUNCTION note_late_usage();

CREATE TRIGGER rated_period_no_change BEFORE UPDATE OR DELETE ON rated_period
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rated_period_no_truncate BEFORE TRUNCATE ON rated_period
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER written_off_no_change BEFORE UPDATE OR DELETE ON written_off
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER written_off_no_truncate BEFORE TRUNCATE ON written_off
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rating_run_no_change BEFORE UPDATE OR DELETE ON rating_run
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rating_run_no_truncate BEFORE TRUNCATE ON rating_run
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charge_line_no_change BEFORE UPDATE OR DELETE ON charge_line
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charge_line_no_truncate BEFORE TRUNCATE ON charge_line
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_line_no_change BEFORE UPDATE OR DELETE ON invoice_line
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_line_no_truncate BEFORE TRUNCATE ON invoice_line
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_event_no_change BEFORE UPDATE OR DELETE ON invoice_event
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_event_no_truncate BEFORE TRUNCATE ON invoice_event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_note_no_change BEFORE UPDATE OR DELETE ON credit_note
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_note_no_truncate BEFORE TRUNCATE ON credit_note
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_note_line_no_change BEFORE UPDATE OR DELETE ON credit_note_line
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_note_line_no_truncate BEFORE TRUNCATE ON credit_note_line
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_no_change BEFORE UPDATE OR DELETE ON payment
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER payment_no_truncate BEFORE TRUNCATE ON payment
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entry_no_change BEFORE UPDATE OR DELETE ON ledger_entry
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entry_no_truncate BEFORE TRUNCATE ON ledger_entry
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_final BEFORE UPDATE ON invoice
FOR EACH ROW WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION refuse_change('never changes once it has a number');
CREATE TRIGGER invoice_no_delete BEFORE DELETE ON invoice
FOR EACH ROW EXECUTE FUNCTION refuse_change('is never deleted');
CREATE TRIGGER invoice_no_truncate BEFORE TRUNCATE ON invoice
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('is never deleted');
CREATE FUNCTION refuse_late_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM invoice i WHERE i.id = NEW.invoice AND i.number IS NOT NULL) THEN
        RAISE EXCEPTION 'invoice_line belongs to an invoice that never changes' USING ERRCODE = 'TG001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoice_line_final BEFORE INSERT ON invoice_line FOR EACH ROW EXECUTE FUNCTION refuse_late_line();
