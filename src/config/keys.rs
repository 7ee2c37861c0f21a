//! Every key of the process configuration: its name, what it holds, its default.

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A URL that may hold a password.
    Url,
    /// `host:port`.
    Address,
    /// A path.
    Path,
    /// A whole number.
    Number,
    /// A number of bytes such as `8GiB`.
    Bytes,
    /// A duration such as `30s`.
    Duration,
    /// Networks such as `10.0.0.0/8`, separated by commas or as a list.
    Networks,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Dotted name in `tollgate.toml`.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Default as text; empty means none.
    pub(crate) default: &'static str,
    /// One line of help.
    pub(crate) help: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        help,
    }
}

/// All keys, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    key("gateway.listen", Kind::Address, "127.0.0.1:8080", "where clients call"),
    key(
        "gateway.public_url",
        Kind::Url,
        "",
        "how clients reach the gateway; from gateway.listen unless set",
    ),
    key("gateway.tls.cert", Kind::Path, "", "PEM chain of the gateway"),
    key("gateway.tls.key", Kind::Path, "", "PEM key of the gateway"),
    key(
        "gateway.threads",
        Kind::Number,
        "",
        "threads of the gateway; one a core unless set",
    ),
    key("portal.listen", Kind::Address, "127.0.0.1:8081", "pages and Admin API"),
    key(
        "portal.public_url",
        Kind::Url,
        "",
        "how people reach the portal; from portal.listen unless set",
    ),
    key("portal.tls.cert", Kind::Path, "", "PEM chain of the portal"),
    key("portal.tls.key", Kind::Path, "", "PEM key of the portal"),
    key(
        "ops.listen",
        Kind::Address,
        "127.0.0.1:8082",
        "/healthz, /readyz, /metrics",
    ),
    key(
        "data_dir",
        Kind::Path,
        "./tollgate-data",
        "everything the embedded deployment keeps",
    ),
    key(
        "store.url",
        Kind::Url,
        "",
        "postgres://…; SQLite in data_dir unless set",
    ),
    key(
        "usage.url",
        Kind::Url,
        "",
        "where usage is shipped; local segments unless set",
    ),
    key(
        "usage.kafka.tls.ca",
        Kind::Path,
        "",
        "PEM of the authority of the Kafka brokers",
    ),
    key("usage.kafka.tls.cert", Kind::Path, "", "PEM chain of this client"),
    key("usage.kafka.tls.key", Kind::Path, "", "PEM key of this client"),
    key("usage.kafka.sasl.mechanism", Kind::Text, "", "SASL mechanism"),
    key("usage.kafka.sasl.user", Kind::Text, "", "SASL user"),
    key("usage.kafka.sasl.password", Kind::Secret, "", "SASL password"),
    key(
        "journal.max_bytes",
        Kind::Bytes,
        "8GiB",
        "disk that the usage journal may take",
    ),
    key(
        "journal.when_full",
        Kind::Word(&["shed", "serve-unmetered"]),
        "shed",
        "what happens when it is taken",
    ),
    key(
        "analytics.url",
        Kind::Url,
        "",
        "clickhouse+http://…; embedded in data_dir unless set",
    ),
    key("analytics.cluster", Kind::Text, "", "name of the ClickHouse cluster"),
    key(
        "counters.url",
        Kind::Url,
        "",
        "where gateways share quotas: redis(s)://…, redis(s)+sentinel://…, redis(s)+cluster://…; each counts alone unless set",
    ),
    key("log.format", Kind::Word(&["text", "json"]), "text", "form of log lines"),
    key(
        "log.filter",
        Kind::Text,
        "info",
        "what is logged, such as info,gateway=debug",
    ),
    key("telemetry.otlp_url", Kind::Url, "", "where traces go"),
    key(
        "mail.url",
        Kind::Url,
        "outbox:",
        "smtp(s)://user:pass@host:port, or outbox: for files in data_dir/outbox",
    ),
    key(
        "mail.from",
        Kind::Text,
        "",
        "sender of mails, such as Shop <shop@example.com>; needed with a mail server",
    ),
    key(
        "mail.tls.ca",
        Kind::Path,
        "",
        "PEM of the authority of the mail server, besides the public ones",
    ),
    key(
        "payments.provider",
        Kind::Word(&["manual", "stripe"]),
        "manual",
        "who moves money",
    ),
    key("payments.stripe.secret_key", Kind::Secret, "", "Stripe secret key"),
    key(
        "payments.stripe.webhook_secret",
        Kind::Secret,
        "",
        "Stripe webhook secret",
    ),
    key(
        "payments.stripe.api_base",
        Kind::Url,
        "",
        "Stripe API; its own address unless set",
    ),
    key(
        "control.url",
        Kind::Url,
        "",
        "where a gateway without the portal role gets its snapshot",
    ),
    key("control.token", Kind::Secret, "", "token of scope gateways:connect"),
    key(
        "control.tls.ca",
        Kind::Path,
        "",
        "PEM of the authority of the control plane",
    ),
    key("control.tls.cert", Kind::Path, "", "PEM chain of this gateway"),
    key("control.tls.key", Kind::Path, "", "PEM key of this gateway"),
    key(
        "trusted_proxies",
        Kind::Networks,
        "",
        "networks whose X-Forwarded-For is believed",
    ),
    key(
        "secrets.master_key_file",
        Kind::Path,
        "",
        "key that seals stored secrets; made in data_dir unless set",
    ),
    key("region", Kind::Text, "", "region of this node"),
    key("node", Kind::Text, "", "name of this node; the host name unless set"),
    key(
        "drain_timeout",
        Kind::Duration,
        "30s",
        "how long SIGTERM waits for requests in flight",
    ),
];

impl Key {
    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("TOLLGATE_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// The key of this dotted name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name that is nearest to an unknown one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::osa_distance(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| known)
}
