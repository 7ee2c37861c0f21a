//! Starts the workers and stops them.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use counters::Counters;
use domain::clock::Clock;
use journal::{Journal, Writer};
use serving::drain::{Drain, DrainWatch};
use serving::listener;
use serving::tls::{ClientTls, ServerTls};
use snapshot::Feed;

use crate::admit::WhenFull;
use crate::balance::Registry;
use crate::chance::Chance;
use crate::emit::Emitter;
use crate::forward::Forwarder;
use crate::metrics::{Metrics, Sheet};
use crate::pool::PoolSettings;
use crate::reject::Refusals;
use crate::serve::Gate;
use crate::stamp::{Periods, Stamper};
use crate::upstream::Upstreams;
use crate::worker::Worker;
use serving::trust::TrustedProxies;

/// How a gateway is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect; port 0 picks one.
    pub listen: SocketAddr,
    /// Workers; 0 takes one for each core.
    pub threads: usize,
    /// Certificate for clients; plain HTTP without.
    pub tls: Option<Arc<ServerTls>>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// What to do when the journal has no room.
    pub when_full: WhenFull,
    /// Connections to upstreams.
    pub pools: PoolSettings,
    /// Bounds and deadlines of client connections.
    pub serving: serving::limits::Settings,
    /// Authorities (PEM) that `https` upstreams are verified against besides the public ones.
    pub extra_ca: Option<Vec<u8>>,
}

impl Settings {
    /// The defaults for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            threads: 0,
            tls: None,
            trusted_proxies: TrustedProxies::default(),
            when_full: WhenFull::default(),
            pools: PoolSettings::default(),
            serving: serving::limits::Settings::default(),
            extra_ca: None,
        }
    }

    /// Workers that will run, one for each core unless said otherwise.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

/// What a gateway works with; shared with whoever started it.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What is served.
    pub feed: Feed,
    /// Where usage is recorded.
    pub journal: Arc<Journal>,
    /// Counters, already brought up to the ledger and the journal's tail.
    pub counters: Counters,
    /// The domain clock.
    pub clock: Clock,
    /// Where requests are counted.
    pub metrics: Metrics,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The extra authorities cannot be read.
    #[error("cannot set up tls towards upstreams")]
    Tls(#[source] serving::tls::Error),
    /// A worker's journal cannot be opened.
    #[error("cannot open the journal of a worker")]
    Journal(#[source] journal::Error),
    /// A worker's thread or runtime cannot be started.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
}

/// The data plane of one process.
#[derive(Debug)]
pub struct Gateway;

/// A gateway that runs. Dropped without [`Running::drain`] it goes on until the process ends.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    drain: Drain,
    threads: Vec<JoinHandle<usize>>,
}

impl Gateway {
    /// Starts all workers. When it returns, connections are accepted.
    ///
    /// # Errors
    /// [`Error`] when one worker could not start; those that did are stopped.
    pub fn start(settings: &Settings, parts: &Parts) -> Result<Running, Error> {
        let workers = settings.workers();
        let listen = |address| listener::bind(address).map_err(|source| Error::Listen { address, source });
        let first = listen(settings.listen)?;
        let local_addr = first.local_addr().map_err(|source| Error::Listen {
            address: settings.listen,
            source,
        })?;
        let mut listeners = vec![first];
        for _ in 1..workers {
            listeners.push(listen(local_addr)?);
        }
        let tls = ClientTls::new(settings.extra_ca.as_deref()).map_err(Error::Tls)?;
        let origin = Instant::now();
        let common = Common {
            origin,
            tls,
            registry: Arc::new(Registry::new(origin)),
            workers,
        };
        let (drain, watch) = Drain::new();
        let mut running = Running {
            local_addr,
            drain,
            threads: Vec::with_capacity(workers),
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            let started = spawn(
                number,
                settings,
                parts,
                Socket {
                    listener,
                    watch: watch.clone(),
                },
                &common,
            );
            match started {
                Ok(thread) => running.threads.push(thread),
                Err(error) => {
                    running.drain(Duration::ZERO);
                    running.join();
                    return Err(error);
                }
            }
        }
        Ok(running)
    }
}

impl Running {
    /// Where clients connect.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts no more connections and gives requests under way so long to finish. May be called again to shorten it.
    pub fn drain(&self, grace: Duration) {
        self.drain.start(grace);
    }

    /// Waits for every worker to end after [`Running::drain`]; the answer is how many connections were cut. Blocks the
    /// calling thread. The journal's producers are closed in order by then.
    pub fn join(self) -> usize {
        self.threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .sum()
    }
}

/// What all workers of a gateway have in common.
struct Common {
    origin: Instant,
    tls: ClientTls,
    registry: Arc<Registry>,
    workers: usize,
}

struct Socket {
    listener: TcpListener,
    watch: DrainWatch,
}

/// What crosses to the worker's thread.
struct Seed {
    settings: Settings,
    parts: Parts,
    socket: Socket,
    writer: Writer,
    sheet: Arc<Sheet>,
    tls: ClientTls,
    registry: Arc<Registry>,
    origin: Instant,
    workers: usize,
}

fn spawn(
    number: usize,
    settings: &Settings,
    parts: &Parts,
    socket: Socket,
    common: &Common,
) -> Result<JoinHandle<usize>, Error> {
    let writer = parts
        .journal
        .writer(u32::try_from(number).unwrap_or(u32::MAX))
        .map_err(Error::Journal)?;
    let seed = Seed {
        settings: settings.clone(),
        parts: parts.clone(),
        socket,
        writer,
        sheet: parts.metrics.sheet(),
        tls: common.tls.clone(),
        registry: Arc::clone(&common.registry),
        origin: common.origin,
        workers: common.workers,
    };
    let (ready, started) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("gateway-{number}"))
        .spawn(move || run(seed, &ready))
        .map_err(Error::Worker)?;
    match started.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(Error::Worker(error)),
        Err(_) => Err(Error::Worker(io::Error::other("the worker ended at once"))),
    }
}

fn run(seed: Seed, ready: &mpsc::Sender<io::Result<()>>) -> usize {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever started us is gone when this cannot be told.
            let _told = ready.send(Err(error));
            return 0;
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(seed, ready))
}

async fn serve(seed: Seed, ready: &mpsc::Sender<io::Result<()>>) -> usize {
    let Seed {
        settings,
        parts,
        socket,
        writer,
        sheet,
        tls,
        registry,
        origin,
        workers,
    } = seed;
    let upstreams = Upstreams::new(registry, settings.pools);
    let worker = Rc::new(Worker {
        trusted_proxies: settings.trusted_proxies,
        when_full: settings.when_full,
        reader: RefCell::new(parts.feed.reader()),
        counters: parts.counters,
        emitter: Emitter::new(writer),
        flights: crate::flight::Flights::default(),
        refusals: Refusals::new(u32::try_from(workers).unwrap_or(u32::MAX)),
        usage_calls: crate::usage_endpoint::Calls::default(),
        forwarder: Forwarder {
            upstreams,
            tls,
            sheet: Arc::clone(&sheet),
        },
        stamper: Stamper::new(parts.clock),
        periods: Periods::default(),
        chance: Chance::new(),
        sheet,
        origin,
        prepared: RefCell::default(),
        looked_at: RefCell::default(),
    });
    let ticking = tokio::task::spawn_local({
        let worker = Rc::clone(&worker);
        async move { worker.tick().await }
    });
    let gate = Rc::new(Gate(Rc::clone(&worker)));
    let mut server = listener::Worker::new(socket.listener, gate, Rc::new(settings.serving), socket.watch);
    if let Some(tls) = settings.tls {
        server = server.with_tls(tls);
    }
    // Whoever started us is gone when this cannot be told; the drain will end us.
    let _told = ready.send(Ok(()));
    let report = server.serve().await;
    ticking.abort();
    worker.each_second();
    worker.emitter.close();
    match report {
        Ok(report) => report.cut,
        Err(error) => {
            tracing::error!(%error, "worker ended");
            0
        }
    }
}
