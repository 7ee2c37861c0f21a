-- Settings of the deployment: one row.
CREATE TABLE instance (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    deployment_id TEXT NOT NULL,
    settings_json TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- API descriptions by the SHA-256 of their bytes.
CREATE TABLE documents (
    hash BYTEA PRIMARY KEY,
    body BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Configuration objects as normalised JSON. parent is the product of a plan, empty otherwise.
CREATE TABLE objects (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('api', 'meter', 'product', 'plan')),
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    body_json TEXT NOT NULL,
    document_hash BYTEA REFERENCES documents (hash),
    origin TEXT NOT NULL CHECK (origin IN ('file', 'api', 'portal')),
    created_revision BIGINT NOT NULL,
    updated_revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    archived_at BIGINT
);
CREATE UNIQUE INDEX objects_name ON objects (kind, parent, name) WHERE archived_at IS NULL;
CREATE INDEX objects_document ON objects (document_hash);

-- A published version of a plan never changes.
CREATE TABLE plan_versions (
    id TEXT PRIMARY KEY,
    plan_id TEXT NOT NULL REFERENCES objects (id),
    n BIGINT NOT NULL CHECK (n > 0),
    body_json TEXT NOT NULL,
    hash TEXT NOT NULL,
    revision BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    UNIQUE (plan_id, n)
);

-- The whole exported document after each apply.
CREATE TABLE config_revisions (
    revision BIGINT PRIMARY KEY,
    document_json TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    ciphertext BYTEA NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT,
    currency TEXT NOT NULL,
    timezone TEXT NOT NULL,
    country TEXT,
    address TEXT,
    tax_ids_json TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('file', 'api', 'portal')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX accounts_file_name ON accounts (name) WHERE origin = 'file' AND deleted_at IS NULL;

-- People. email_key is the address in lower case.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT,
    staff_roles_json TEXT NOT NULL,
    verified_at BIGINT,
    disabled_at BIGINT,
    last_login_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE members (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'developer', 'billing', 'viewer')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

-- An invitation into an account, or to staff when account_id is NULL.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    account_id TEXT REFERENCES accounts (id),
    email TEXT NOT NULL,
    roles_json TEXT NOT NULL,
    secret_hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT
);
CREATE INDEX invitations_account ON invitations (account_id, id);

-- Signed-in browsers, by the hash of the cookie.
CREATE TABLE sessions (
    secret_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    csrf TEXT NOT NULL,
    address TEXT,
    agent TEXT,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Links that work once: verification of an address, reset of a password.
CREATE TABLE one_time_links (
    secret_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX one_time_links_user ON one_time_links (user_id, purpose);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL UNIQUE,
    scopes_json TEXT NOT NULL,
    account_id TEXT REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX tokens_account ON tokens (account_id, id);

CREATE TABLE consumers (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    suspended_reason TEXT,
    origin TEXT NOT NULL CHECK (origin IN ('file', 'api', 'portal')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CHECK ((status = 'suspended') = (suspended_reason IS NOT NULL))
);
CREATE UNIQUE INDEX consumers_file_name ON consumers (account_id, name) WHERE origin = 'file' AND deleted_at IS NULL;
CREATE INDEX consumers_account ON consumers (account_id, id);

CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    consumer_id TEXT NOT NULL REFERENCES consumers (id),
    kind TEXT NOT NULL CHECK (kind IN ('api_key')),
    secret_hash BYTEA NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    last4 TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    name TEXT,
    scopes_json TEXT NOT NULL,
    products_json TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('file', 'api', 'portal')),
    rotated_from TEXT REFERENCES credentials (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX credentials_consumer ON credentials (consumer_id, id);
CREATE INDEX credentials_account ON credentials (account_id, id);
CREATE INDEX credentials_rotated_from ON credentials (rotated_from) WHERE rotated_from IS NOT NULL;

-- anchor_local is the wall time in zone from which all periods count; NULL until activation.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    consumer_id TEXT NOT NULL REFERENCES consumers (id),
    product_id TEXT NOT NULL REFERENCES objects (id),
    plan_id TEXT NOT NULL REFERENCES objects (id),
    plan_version_id TEXT NOT NULL REFERENCES plan_versions (id),
    status TEXT NOT NULL CHECK (status IN
        ('pending_approval', 'pending_payment', 'trialing', 'active', 'past_due', 'paused', 'cancelled', 'rejected')),
    status_reason TEXT,
    anchor_local TEXT,
    zone TEXT NOT NULL,
    every TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('file', 'api', 'portal')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    activated_at BIGINT,
    grace_until BIGINT,
    cancel_at BIGINT,
    ended_at BIGINT,
    pending_plan_id TEXT REFERENCES objects (id),
    pending_plan_version_id TEXT REFERENCES plan_versions (id),
    pending_at BIGINT,
    CHECK ((activated_at IS NULL) = (anchor_local IS NULL)),
    CHECK ((pending_at IS NULL) = (pending_plan_version_id IS NULL) AND (pending_at IS NULL) = (pending_plan_id IS NULL)),
    CHECK ((status IN ('cancelled', 'rejected')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX subscriptions_one_live ON subscriptions (consumer_id, product_id)
    WHERE status NOT IN ('cancelled', 'rejected');
CREATE INDEX subscriptions_account ON subscriptions (account_id, id);
CREATE INDEX subscriptions_pending ON subscriptions (pending_at) WHERE pending_at IS NOT NULL;
CREATE INDEX subscriptions_cancel ON subscriptions (cancel_at) WHERE cancel_at IS NOT NULL;
CREATE INDEX subscriptions_status ON subscriptions (status, id);
CREATE INDEX subscriptions_plan_version ON subscriptions (plan_version_id);

-- Which plan version held from when to when. A row is made open and closed once, nothing else ever changes.
CREATE TABLE sub_segments (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    n BIGINT NOT NULL CHECK (n > 0),
    plan_version_id TEXT NOT NULL REFERENCES plan_versions (id),
    from_at BIGINT NOT NULL,
    to_at BIGINT CHECK (to_at >= from_at),
    PRIMARY KEY (subscription_id, n)
);
CREATE UNIQUE INDEX sub_segments_one_open ON sub_segments (subscription_id) WHERE to_at IS NULL;

-- Answers to requests that carried an Idempotency-Key; status is NULL while the first one runs.
CREATE TABLE idempotency_keys (
    principal TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    status BIGINT,
    body TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (principal, idempotency_key)
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

CREATE TRIGGER documents_no_update BEFORE UPDATE ON documents
FOR EACH ROW EXECUTE FUNCTION refuse_change('never changes');
CREATE TRIGGER plan_versions_no_change BEFORE UPDATE OR DELETE ON plan_versions
FOR EACH ROW EXECUTE FUNCTION refuse_change('never changes');
CREATE TRIGGER plan_versions_no_truncate BEFORE TRUNCATE ON plan_versions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('never changes');
CREATE TRIGGER sub_segments_close_once BEFORE UPDATE ON sub_segments
FOR EACH ROW WHEN (OLD.to_at IS NOT NULL OR NEW.to_at IS NULL OR (NEW.subscription_id, NEW.n, NEW.plan_version_id, NEW.from_at)
    IS DISTINCT FROM (OLD.subscription_id, OLD.n, OLD.plan_version_id, OLD.from_at))
EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sub_segments_no_delete BEFORE DELETE ON sub_segments
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sub_segments_no_truncate BEFORE TRUNCATE ON sub_segments
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
