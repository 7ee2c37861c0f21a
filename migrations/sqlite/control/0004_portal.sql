-- Tries that are counted against guessing: log-ins, sign-ups, resets; subject is an address or a network, hashed.
CREATE TABLE attempts (
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_subject ON attempts (kind, subject, at);
CREATE INDEX attempts_at ON attempts (at);

-- Guides in Markdown; path is what stands after /docs/.
CREATE TABLE guides (
    path TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    position INTEGER NOT NULL,
    published INTEGER NOT NULL CHECK (published IN (0, 1)),
    version INTEGER NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- What readers searched for; found is the number of results.
CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    term TEXT NOT NULL,
    found INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX searches_at ON searches (at);

-- Alerts that were sent: one for each threshold and period.
CREATE TABLE quota_alerts (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    meter TEXT NOT NULL,
    threshold TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (subscription_id, meter, threshold, period_start)
) STRICT;
