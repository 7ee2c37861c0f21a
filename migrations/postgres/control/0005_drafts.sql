-- What product managers are working on; nothing serves from it. The id says what it is of: plan/<product>/<plan>, or an
-- upload with an id of its own.
CREATE TABLE drafts (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    fields_json TEXT NOT NULL,
    body BYTEA,
    version BIGINT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
