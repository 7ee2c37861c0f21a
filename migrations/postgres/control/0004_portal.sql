-- Tries that are counted against guessing: log-ins, sign-ups, resets; subject is an address or a network, hashed.
CREATE TABLE attempts (
    kind TEXT NOT NULL,
    subject BYTEA NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX attempts_subject ON attempts (kind, subject, at);
CREATE INDEX attempts_at ON attempts (at);

-- Guides in Markdown; path is what stands after /docs/.
CREATE TABLE guides (
    path TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    position BIGINT NOT NULL,
    published BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What readers searched for; found is the number of results.
CREATE TABLE searches (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    term TEXT NOT NULL,
    found BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX searches_at ON searches (at);

-- Alerts that were sent: one for each threshold and period.
CREATE TABLE quota_alerts (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    meter TEXT NOT NULL,
    threshold TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, meter, threshold, period_start)
);
