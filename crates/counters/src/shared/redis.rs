//! The table in Redis 7: one server, one that Sentinel watches, or a Cluster. All of it is one Lua script, so each
//! exchange is atomic and takes one round trip. Nothing has to be on disk: what is lost is rebuilt.
//!
//! The `redis` crate is used because it is the client that the Redis project keeps; it speaks Cluster and Sentinel on
//! tokio, encrypts with rustls, and leaves pools and retries to us, who must know when an answer is overdue. `fred` brings
//! its own reconnection and command buffers: an exchange that is sent again behind our back is one too many.
//!
//! Recalls go over a stream (`XADD`, blocking `XREAD` on a connection of its own): heard within a round trip, none lost
//! over a reconnection, and the same on all three kinds of servers, which holds for no form of publish/subscribe.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::redis as client;
use client::aio::{ConnectionLike, MultiplexedConnection};
use client::cluster_async::ClusterConnection;
use client::streams::{StreamReadOptions, StreamReadReply};
use client::{AsyncCommands as _, AsyncConnectionConfig, Cmd, Pipeline, RedisError, RedisFuture, Script, Value};
use domain::limit::Precision;
use tokio::sync::Mutex;

pub use super::address::BadAddress;
use super::protocol::{
    Answer, Away, Beat, CounterId, Exchange, Holder, LARGEST, Notice, Pulse, Reply, Session, Stand, Table, Tell,
};

const CONNECT: Duration = Duration::from_millis(500);
const BLOCK_MS: usize = 1_000;
const LISTEN: Duration = Duration::from_secs(3);
const NOTICES: usize = 1_000;
/// So many questions in a row that nobody waited out: the connection is taken for dead.
const STRIKES: u32 = 3;
const NAMESPACE: &str = "tollgate";

/// Where the servers are.
pub(crate) enum Target {
    Single(Box<client::Client>),
    Sentinel(Box<Mutex<client::sentinel::SentinelClient>>),
    Cluster(Box<client::cluster::ClusterClient>),
}

/// A connection of either kind.
#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Many(many) => many.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Many(many) => many.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Many(many) => many.get_db(),
        }
    }
}

/// The listener's connection and the last notice that it read.
type Ear = Option<(Connection, String)>;

/// A table in Redis.
pub struct Redis {
    target: Target,
    script: Script,
    connection: Mutex<Option<Connection>>,
    /// Questions in a row that were given up.
    strikes: AtomicU32,
    ear: Mutex<Ear>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

/// Counts a question as given up unless it is disarmed: its future may be dropped at any await.
struct Strike<'a>(&'a AtomicU32);

impl Drop for Strike<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn unreachable(error: RedisError) -> Away {
    Away::Unreachable(Box::new(error))
}

impl Redis {
    /// A table at an address. Nothing is connected yet.
    ///
    /// # Errors
    /// [`BadAddress`] for an address that is none.
    pub fn new(address: &str) -> Result<Self, BadAddress> {
        Ok(Self {
            target: super::address::target(address)?,
            script: Script::new(include_str!("redis.lua")),
            connection: Mutex::default(),
            strikes: AtomicU32::new(0),
            ear: Mutex::default(),
        })
    }

    async fn connect(&self, response: Duration) -> Result<Connection, Away> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(response));
        let connected = async {
            match &self.target {
                Target::Single(client) => {
                    let made = client.get_multiplexed_async_connection_with_config(&config).await;
                    made.map(Connection::One)
                }
                Target::Sentinel(sentinel) => {
                    let mut sentinel = sentinel.lock().await;
                    let made = sentinel.get_async_connection_with_config(&config).await;
                    made.map(Connection::One)
                }
                Target::Cluster(cluster) => {
                    let config = client::cluster::ClusterConfig::new()
                        .set_connection_timeout(CONNECT)
                        .set_response_timeout(response);
                    let made = cluster.get_async_connection_with_config(config).await;
                    made.map(Connection::Many)
                }
            }
        };
        connected.await.map_err(unreachable)
    }

    /// The connection for questions; a new one when there is none or the last one seems dead.
    async fn connection(&self) -> Result<Connection, Away> {
        let mut kept = self.connection.lock().await;
        if self.strikes.load(Ordering::Relaxed) >= STRIKES {
            self.strikes.store(0, Ordering::Relaxed);
            *kept = None;
        }
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let made = self.connect(CONNECT).await?;
        Ok(kept.insert(made).clone())
    }

    async fn fails(&self, error: RedisError) -> Away {
        // Any complaint may mean that this is not the right server any more; only a script's is the script's own.
        *self.connection.lock().await = None;
        unreachable(error)
    }

    /// Runs the script on a partition.
    async fn run(&self, partition: u16, counter: Option<&CounterId>, args: &[String]) -> Result<Vec<String>, Away> {
        let strike = Strike(&self.strikes);
        let mut connection = self.connection().await?;
        let mut call = self.script.key(format!("{NAMESPACE}:{{c{partition}}}:p"));
        if let Some(counter) = counter {
            call.key(format!("{NAMESPACE}:{{c{partition}}}:c:{counter}"));
        }
        for arg in args {
            call.arg(arg);
        }
        let answered = call.invoke_async(&mut connection).await;
        std::mem::forget(strike);
        self.strikes.store(0, Ordering::Relaxed);
        match answered {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.fails(error).await),
        }
    }

    async fn hear(&self) -> Result<Vec<Notice>, Away> {
        let mut ear = self.ear.lock().await;
        // Taken out, so that a connection on which reading failed or was given up is not used again.
        let (mut connection, last) = match ear.take() {
            Some(known) => known,
            None => {
                let mut connection = self.connect(LISTEN).await?;
                let time = client::cmd("TIME").query_async(&mut connection).await;
                let (seconds, micros): (u64, u64) = time.map_err(unreachable)?;
                let since = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
                (connection, format!("{since}-0"))
            }
        };
        let options = StreamReadOptions::default().block(BLOCK_MS).count(NOTICES);
        let read = connection.xread_options(&[stream()], &[&last], &options).await;
        let read: Option<StreamReadReply> = read.map_err(unreachable)?;
        let entries = read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids);
        let (mut notices, mut newest) = (Vec::new(), last);
        for entry in entries {
            notices.extend(notice(entry.get("what"), entry.get("counter"), entry.get("recall")));
            newest = entry.id;
        }
        *ear = Some((connection, newest));
        Ok(notices)
    }

    async fn shout(&self, notice: &Notice) -> Result<(), Away> {
        let (what, counter, recall) = match notice {
            Notice::Recall(counter, recall) => ("recall", counter, *recall),
            Notice::Available(counter) => ("available", counter, 0),
        };
        let mut connection = self.connection().await?;
        let fields = [
            ("what", what.to_owned()),
            ("counter", counter.to_string()),
            ("recall", recall.to_string()),
        ];
        let trim = client::streams::StreamMaxlen::Approx(NOTICES);
        let called: Result<String, RedisError> = connection.xadd_maxlen(stream(), trim, "*", &fields).await;
        match called {
            Ok(_id) => Ok(()),
            Err(error) => Err(self.fails(error).await),
        }
    }
}

fn stream() -> String {
    format!("{NAMESPACE}:recalls")
}

fn notice(what: Option<String>, counter: Option<String>, recall: Option<u64>) -> Option<Notice> {
    let counter = CounterId::read(&counter?)?;
    match what?.as_str() {
        "recall" => Some(Notice::Recall(counter, recall?)),
        "available" => Some(Notice::Available(counter)),
        _ => None,
    }
}

/// What every question begins with.
fn opening(op: &str, session: &Session, generation: u64, now: domain::clock::Timestamp) -> Vec<String> {
    vec![
        op.to_owned(),
        session.to_string(),
        session.node.to_string(),
        session.fence.to_string(),
        generation.to_string(),
        now.as_millis().to_string(),
    ]
}

fn nonsense(answer: &[String]) -> Away {
    Away::Nonsense(answer.join(" "))
}

fn number(answer: &[String], at: usize) -> Result<u64, Away> {
    answer
        .get(at)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| nonsense(answer))
}

fn small(answer: &[String], at: usize) -> Result<u32, Away> {
    number(answer, at).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn holders(answer: &[String], from: usize) -> Result<Vec<Holder>, Away> {
    let rows = answer.get(from..).unwrap_or_default().chunks(3);
    rows.map(|row| match row {
        [session, live, metered] => Ok(Holder {
            session: Session::read(session).ok_or_else(|| nonsense(row))?,
            is_live: live == "1",
            metered: metered.parse().map_err(|_| nonsense(row))?,
        }),
        _ => Err(nonsense(row)),
    })
    .collect()
}

fn reply(answer: &[String]) -> Result<Reply, Away> {
    match answer.first().map(String::as_str) {
        Some("late") => Ok(Reply::Late),
        Some("over") => Ok(Reply::Over),
        Some("undeclared") => Ok(Reply::Undeclared),
        Some("generation") => number(answer, 1).map(Reply::Generation),
        Some("untold") => holders(answer, 1).map(Reply::Untold),
        Some("stands") => Ok(Reply::Stands(Stand {
            granted: number(answer, 1)?,
            left: number(answer, 2)?,
            elsewhere: number(answer, 3)?,
            holders: small(answer, 4)?,
            silent: small(answer, 5)?,
            recall: number(answer, 6)?,
            hungry: number(answer, 7)? == 1,
            tell: number(answer, 8)? == 1,
        })),
        _ => Err(nonsense(answer)),
    }
}

fn texts(numbers: &[u64]) -> impl Iterator<Item = String> + '_ {
    numbers.iter().map(|number| (*number).min(LARGEST).to_string())
}

impl Table for Redis {
    fn exchange<'a>(&'a self, ask: &'a Exchange) -> Answer<'a, Reply> {
        Box::pin(async move {
            let mut args = opening("exchange", &ask.session, ask.generation, ask.now);
            args.push(ask.counter.start.as_millis().to_string());
            let numbers = [
                ask.forget_ms.max(1),
                ask.seq,
                ask.keep,
                ask.taken,
                ask.metered,
                ask.want,
                ask.least,
                ask.ceiling,
            ];
            args.extend(texts(&numbers));
            args.push(
                if ask.precision == Precision::Strict {
                    "strict"
                } else {
                    "fast"
                }
                .to_owned(),
            );
            args.push(ask.recall.to_string());
            reply(&self.run(ask.counter.partition(), Some(&ask.counter), &args).await?)
        })
    }

    fn beat<'a>(&'a self, beat: &'a Beat) -> Answer<'a, Pulse> {
        Box::pin(async move {
            let mut args = opening("beat", &beat.session, beat.declared, beat.now);
            args.push(beat.declared.to_string());
            args.push(u8::from(beat.leaves).to_string());
            let answer = self.run(beat.partition, None, &args).await?;
            Ok(Pulse {
                generation: number(&answer, 0)?,
                live: small(&answer, 1)?,
            })
        })
    }

    fn holders<'a>(&'a self, ask: &'a Exchange) -> Answer<'a, Vec<Holder>> {
        Box::pin(async move {
            let args = opening("holders", &ask.session, ask.generation, ask.now);
            holders(&self.run(ask.counter.partition(), Some(&ask.counter), &args).await?, 0)
        })
    }

    fn tell<'a>(&'a self, tell: &'a Tell) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut args = opening("tell", &tell.session, tell.generation, tell.now);
            args.push(tell.counter.start.as_millis().to_string());
            args.extend(texts(&[tell.forget_ms.max(1), tell.base, tell.over.len() as u64]));
            for over in &tell.over {
                args.extend([over.to_string(), over.node.to_string(), over.fence.to_string()]);
            }
            args.extend(tell.counted.iter().map(Session::to_string));
            self.run(tell.counter.partition(), Some(&tell.counter), &args)
                .await
                .map(drop)
        })
    }

    fn call<'a>(&'a self, notice: &'a Notice) -> Answer<'a, ()> {
        Box::pin(self.shout(notice))
    }

    fn listen(&self) -> Answer<'_, Vec<Notice>> {
        Box::pin(self.hear())
    }
}
