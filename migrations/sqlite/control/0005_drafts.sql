-- What product managers are working on; nothing serves from it. The id says what it is of: plan/<product>/<plan>, or an
-- upload with an id of its own.
CREATE TABLE drafts (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    fields_json TEXT NOT NULL,
    body BLOB,
    version INTEGER NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
