//! `counters.url`: one server, servers watched by Sentinel, or a Cluster.
//!
//! | address | what |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `redis+sentinel://[user:password@]host[:port],…/master[/db]` | the master that sentinels name |
//! | `redis+cluster://[user:password@]host[:port],…` | a Cluster |
//!
//! With `rediss` for `redis` everything is encrypted and certificates are verified.

use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{ConnectionAddr, IntoConnectionInfo as _, TlsMode};

use super::redis::Target;

const REDIS_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

/// Why an address is none.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// Nothing that is known.
    #[error("write redis://, rediss://, redis+sentinel:// or redis+cluster://")]
    Scheme,
    /// A host or a port is missing or wrong.
    #[error("`{0}` is not a host with a port")]
    Host(String),
    /// A sentinel's address without a master.
    #[error("name the master: redis+sentinel://host:port,host:port/master")]
    Master,
    /// The rest.
    #[error("the address cannot be used")]
    Client(#[source] redis::RedisError),
}

struct Parts<'a> {
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, u16)>,
    path: Vec<&'a str>,
}

impl Parts<'_> {
    fn addresses(&self) -> impl Iterator<Item = ConnectionAddr> + '_ {
        self.hosts.iter().map(|(host, port)| {
            if self.tls {
                ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: false,
                    tls_params: None,
                }
            } else {
                ConnectionAddr::Tcp(host.clone(), *port)
            }
        })
    }
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn host(text: &str, port: u16) -> Result<(String, u16), BadAddress> {
    let bad = || BadAddress::Host(text.to_owned());
    let (name, port) = match text.rsplit_once(':') {
        Some((name, given)) if !given.ends_with(']') => (name, given.parse().map_err(|_| bad())?),
        _ => (text, port),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() {
        return Err(bad());
    }
    Ok((name.to_owned(), port))
}

fn parts(rest: &str, tls: bool, port: u16) -> Result<Parts<'_>, BadAddress> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(login, hosts)| (Some(login), hosts));
    let (user, password) = login.map_or((None, None), |login| match login.split_once(':') {
        Some((user, password)) => ((!user.is_empty()).then(|| decoded(user)), Some(decoded(password))),
        None => (Some(decoded(login)), None),
    });
    Ok(Parts {
        tls,
        user,
        password,
        hosts: hosts.split(',').map(|one| host(one, port)).collect::<Result<_, _>>()?,
        path: path.split('/').filter(|part| !part.is_empty()).collect(),
    })
}

/// Reads an address.
pub(crate) fn target(address: &str) -> Result<Target, BadAddress> {
    let (scheme, rest) = address.split_once("://").ok_or(BadAddress::Scheme)?;
    let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = match base {
        "redis" => false,
        "rediss" => true,
        _ => return Err(BadAddress::Scheme),
    };
    match kind {
        "" => single(address),
        "sentinel" => sentinel(&parts(rest, tls, SENTINEL_PORT)?),
        "cluster" => cluster(&parts(rest, tls, REDIS_PORT)?),
        _ => Err(BadAddress::Scheme),
    }
}

fn single(address: &str) -> Result<Target, BadAddress> {
    let info = address.into_connection_info().map_err(BadAddress::Client)?;
    redis::Client::open(info)
        .map(Box::new)
        .map(Target::Single)
        .map_err(BadAddress::Client)
}

fn sentinel(parts: &Parts<'_>) -> Result<Target, BadAddress> {
    let master = parts.path.first().ok_or(BadAddress::Master)?;
    let db = parts
        .path
        .get(1)
        .map_or(Ok(0), |db| db.parse())
        .map_err(|_| BadAddress::Master)?;
    let mut builder = SentinelClientBuilder::new(parts.addresses(), master, SentinelServerType::Master)
        .map_err(BadAddress::Client)?
        .set_client_to_redis_db(db);
    if parts.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = &parts.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &parts.password {
        builder = builder.set_client_to_redis_password(password);
    }
    let client = builder.build().map_err(BadAddress::Client)?;
    Ok(Target::Sentinel(Box::new(tokio::sync::Mutex::new(client))))
}

fn cluster(parts: &Parts<'_>) -> Result<Target, BadAddress> {
    let nodes = parts.hosts.iter().map(|(host, port)| {
        let scheme = if parts.tls { "rediss" } else { "redis" };
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    });
    let mut builder = ClusterClientBuilder::new(nodes)
        .retries(2)
        .min_retry_wait(5)
        .max_retry_wait(50);
    if let Some(user) = &parts.user {
        builder = builder.username(user);
    }
    if let Some(password) = &parts.password {
        builder = builder.password(password);
    }
    builder
        .build()
        .map(Box::new)
        .map(Target::Cluster)
        .map_err(BadAddress::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> &'static str {
        match target(address) {
            Ok(Target::Single(_)) => "single",
            Ok(Target::Sentinel(_)) => "sentinel",
            Ok(Target::Cluster(_)) => "cluster",
            Err(BadAddress::Scheme) => "scheme",
            Err(BadAddress::Host(_)) => "host",
            Err(BadAddress::Master) => "master",
            Err(BadAddress::Client(_)) => "client",
        }
    }

    #[test]
    fn every_form_of_address_is_told_apart_and_a_wrong_one_is_named() {
        for (address, expected) in [
            ("redis://127.0.0.1:6379", "single"),
            ("rediss://:secret@cache.example:6380/2", "single"),
            ("redis+sentinel://a:26379,b:26379,c/tollgate", "sentinel"),
            ("rediss+sentinel://user:p%40ss@a/tollgate/3", "sentinel"),
            ("redis+cluster://a:7000,b:7001,[::1]:7002", "cluster"),
            ("redis+sentinel://a:26379", "master"),
            ("redis+cluster://a:seven", "host"),
            ("redis+cluster://a,,b", "host"),
            ("memcached://a", "scheme"),
            ("redis+ring://a", "scheme"),
            ("localhost", "scheme"),
        ] {
            assert_eq!(kind(address), expected, "{address}");
        }
    }

    #[test]
    fn a_login_is_decoded_once() {
        let parts = parts("us%3Aer:p+a%40ss@a,b:1/m", false, 7).unwrap();
        assert_eq!(
            (parts.user.as_deref(), parts.password.as_deref()),
            (Some("us:er"), Some("p+a@ss"))
        );
        assert_eq!(parts.hosts, [("a".to_owned(), 7), ("b".to_owned(), 1)]);
    }
}
