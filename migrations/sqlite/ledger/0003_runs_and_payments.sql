-- What a billing run made, and whom it could not bill.
ALTER TABLE billing_run ADD COLUMN invoices INTEGER NOT NULL DEFAULT 0;
ALTER TABLE billing_run ADD COLUMN credit_notes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE billing_run_failure (
    run TEXT NOT NULL REFERENCES billing_run (id),
    account TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run, account)
) STRICT, WITHOUT ROWID;

-- When the money of a payment came in, where somebody said so; NULL is the instant at which it was recorded.
ALTER TABLE payment ADD COLUMN received_at INTEGER;
