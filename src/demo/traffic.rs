//! Real requests at a steady rate, as every caller of the demo.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::set_up::{Caller, SetUp};

const THREADS: u32 = 4;

const PATHS: [&str; 6] = [
    "/time?zone=Europe/Paris",
    "/time?zone=America/New_York",
    "/convert?from=Asia/Tokyo&to=America/Sao_Paulo",
    "/transitions?zone=Europe/London",
    "/currencies/JPY",
    "/currencies/XXX",
];

/// Starts threads that send `rate` requests a second together until `stop`.
pub(super) fn start(set_up: &SetUp, rate: u32, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let threads = rate.min(THREADS);
    (0..threads)
        .map(|thread| {
            let sender = Sender {
                agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
                base: format!("{}/worldtime", set_up.facts.gateway_url),
                callers: set_up.callers.clone(),
                stop: Arc::clone(stop),
            };
            // The remainder goes to the first threads.
            let share = rate / threads + u32::from(thread < rate % threads);
            std::thread::spawn(move || sender.run(share))
        })
        .collect()
}

struct Sender {
    agent: ureq::Agent,
    base: String,
    callers: Vec<Caller>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    fn run(&self, rate: u32) {
        let gap = Duration::from_secs(1) / rate.max(1);
        let mut due = Instant::now();
        let mut turn = u32::from_be_bytes(domain::random::bytes()) as usize;
        while !self.stop.load(Ordering::Acquire) {
            self.send(turn);
            turn = turn.wrapping_add(1);
            due += gap;
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
            } else if now.duration_since(due) > Duration::from_secs(1) {
                // What could not be sent in time is not made up for.
                due = now;
            }
        }
    }

    fn send(&self, turn: usize) {
        let Some(caller) = self.callers.get(turn % self.callers.len().max(1)) else {
            return;
        };
        let authorization = format!("Bearer {}", caller.key);
        let path = PATHS[turn / 3 % PATHS.len()];
        let result = if turn.is_multiple_of(7) {
            let text = "The quick brown fox jumps over the lazy dog. ".repeat(1 + turn % 20);
            let url = format!("{}/text/figures", self.base);
            self.agent
                .post(&url)
                .header("authorization", &authorization)
                .send_json(json!({ "text": text }))
        } else {
            self.agent
                .get(format!("{}{path}", self.base))
                .header("authorization", &authorization)
                .call()
        };
        match result {
            // Reading the answer to its end keeps the connection.
            Ok(mut response) => drop(response.body_mut().read_to_vec()),
            Err(error) => tracing::warn!(%error, "a request of the demo failed"),
        }
    }
}
