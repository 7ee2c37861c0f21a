//! The targets of one upstream as one worker sees them: where they are, how to connect, which connections are kept.
//!
//! Names are resolved off the loop, kept for half a minute and refreshed in the background; the last good answer stays
//! in use while a resolver is away. Certificates of `https` targets are verified, always.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::ApiId;
use domain::key::Mode;
use http::HeaderValue;
use serving::h1::client::Connection;
use serving::stream::Stream;
use snapshot::{CompiledTarget, Scheme};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::balance::{Registry, Shared, Weighted};
use crate::pool::{Pool, PoolSettings};

const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// One target of an upstream.
pub(crate) struct Target {
    pub(crate) endpoint: CompiledTarget,
    /// The `Host` field that the target gets.
    pub(crate) authority: HeaderValue,
    pub(crate) weighted: Weighted,
    pub(crate) pool: Rc<Pool>,
    addresses: RefCell<Vec<SocketAddr>>,
    resolved_at: Cell<Option<Instant>>,
    resolving: Cell<bool>,
}

impl Target {
    /// Opens a connection.
    ///
    /// # Errors
    /// Those of the last address tried; [`io::ErrorKind::TimedOut`] at the deadline.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        tls: &serving::tls::ClientTls,
        deadline: Instant,
    ) -> io::Result<Connection> {
        let opened = async {
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in self.resolve().await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return self.secure(tls, stream).await;
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let stream = timeout_at(deadline, opened)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Connection::new(stream))
    }

    async fn secure(&self, tls: &serving::tls::ClientTls, stream: TcpStream) -> io::Result<Stream> {
        if self.endpoint.scheme == Scheme::Https {
            tls.connect(stream, &self.endpoint.host).await
        } else {
            Ok(stream.into())
        }
    }

    async fn resolve(self: &Rc<Self>) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.endpoint.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.endpoint.port)]);
        }
        let known = self.addresses.borrow().clone();
        let fresh = self.resolved_at.get().is_some_and(|at| at.elapsed() < RESOLVED_FOR);
        if known.is_empty() {
            return self.look_up().await;
        }
        if !fresh && !self.resolving.replace(true) {
            let target = Rc::clone(self);
            tokio::task::spawn_local(async move {
                if let Err(error) = target.look_up().await {
                    tracing::warn!(host = %target.endpoint.host, %error, "name not resolved, the last answer stays in use");
                }
                target.resolving.set(false);
            });
        }
        Ok(known)
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = tokio::net::lookup_host((&*self.endpoint.host, self.endpoint.port))
            .await?
            .collect();
        if !found.is_empty() {
            self.addresses.borrow_mut().clone_from(&found);
            self.resolved_at.set(Some(Instant::now()));
        }
        Ok(found)
    }
}

/// All targets of one upstream.
pub(crate) struct Upstream {
    configured: Box<[CompiledTarget]>,
    pub(crate) targets: Vec<Rc<Target>>,
}

/// Which upstream: an API's, live or sandbox.
type Name = (ApiId, Mode);

/// The upstreams that one worker knows. Outlives every snapshot.
pub(crate) struct Upstreams {
    pub(crate) registry: Arc<Registry>,
    settings: Rc<PoolSettings>,
    known: RefCell<HashMap<Name, Rc<Upstream>>>,
}

impl Upstreams {
    pub(crate) fn new(registry: Arc<Registry>, settings: PoolSettings) -> Self {
        Self {
            registry,
            settings: Rc::new(settings),
            known: RefCell::default(),
        }
    }

    /// The upstream of this name with these targets. Targets that stay keep their connections.
    pub(crate) fn get(&self, name: Name, configured: &[CompiledTarget]) -> Rc<Upstream> {
        let before = self.known.borrow().get(&name).cloned();
        if let Some(same) = before.as_ref().filter(|upstream| *upstream.configured == *configured) {
            return Rc::clone(same);
        }
        let shared = self.registry.upstream(name);
        let targets = configured
            .iter()
            .map(|target| self.target(target, &shared, before.as_deref()))
            .collect();
        let upstream = Rc::new(Upstream {
            configured: configured.into(),
            targets,
        });
        self.known.borrow_mut().insert(name, Rc::clone(&upstream));
        upstream
    }

    fn target(&self, target: &CompiledTarget, shared: &Arc<Shared>, before: Option<&Upstream>) -> Rc<Target> {
        let is_same = |old: &&Rc<Target>| {
            let old = &old.endpoint;
            (old.scheme, &old.host, old.port) == (target.scheme, &target.host, target.port)
        };
        let old = before.and_then(|upstream| upstream.targets.iter().find(is_same));
        let pool = old.map_or_else(
            || Pool::new(Rc::clone(&self.settings), Arc::clone(shared)),
            |old| Rc::clone(&old.pool),
        );
        Rc::new(Target {
            weighted: Weighted::new(target.weight, self.registry.target(&target.host, target.port)),
            authority: crate::headers::value_of(&target.authority),
            endpoint: target.clone(),
            pool,
            addresses: RefCell::default(),
            resolved_at: Cell::new(None),
            resolving: Cell::new(false),
        })
    }

    /// Closes connections that have outlived their use.
    pub(crate) fn tend(&self) {
        let known: Vec<_> = self.known.borrow().values().cloned().collect();
        known
            .iter()
            .flat_map(|upstream| &upstream.targets)
            .for_each(|target| target.pool.tend());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, weight: u32) -> CompiledTarget {
        CompiledTarget {
            scheme: Scheme::Http,
            host: host.into(),
            port: 80,
            authority: host.into(),
            prefix: "".into(),
            weight,
        }
    }

    #[test]
    fn targets_that_stay_keep_their_connections() {
        let upstreams = Upstreams::new(
            Arc::new(Registry::new(std::time::Instant::now())),
            PoolSettings::default(),
        );
        let name = (ApiId::from_bits(1), Mode::Live);
        let first = upstreams.get(name, &[target("a", 1), target("b", 1)]);
        let same = upstreams.get(name, &[target("a", 1), target("b", 1)]);
        assert!(Rc::ptr_eq(&first, &same));
        let changed = upstreams.get(name, &[target("b", 5), target("c", 1)]);
        assert!(Rc::ptr_eq(&changed.targets[0].pool, &first.targets[1].pool));
        assert_eq!(changed.targets[0].weighted.weight, 5);
    }
}
