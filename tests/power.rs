//! Power losses of the whole platform: whatever is lost is announced as a gap and was written in the last moments, and
//! what is there is right in every total.
//!
//! The long run: `TOLLGATE_TEST_CUTS=200 cargo test --release --test power -- --nocapture`. A run is repeated with the
//! printed `TOLLGATE_TEST_SEED`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Subscriber;
use support::books::{Books, Difference, differences};
use support::chance::{Random, seed, setting};
use support::load::{Call, Plan};
use support::platform::Settings;
use support::power::Power;
use support::upstream::Upstream;
use support::world::{World, configuration};

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits() -> Value {
    json!([{ "requests": 1_000_000_000, "per": "period" }])
}

/// A platform whose power can be cut.
struct Machine {
    world: World,
    power: Power,
    subscriber: Subscriber,
    calls: Vec<Call>,
    random: Random,
}

/// What one cut did.
#[derive(Default)]
struct Cut {
    sectors: u64,
    /// Successes of this round that no fact tells of.
    lost: usize,
    /// How long before the cut the oldest of them had its answer.
    oldest: Duration,
    /// Gaps that the next start announced.
    gaps: u64,
}

/// Whether a cut is a power loss or, as a control, something that the kernel claims it was not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    BootsAnew,
    ClaimsItNeverStopped,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let dir = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(dir.path());
        let data = dir.path().join("data");
        let power = Power::new(dir.path(), &data);
        power.boot(&mut random);
        // Small segments, so that a run crosses many of them.
        let settings = power
            .plug_in(Settings::new(&data))
            .with("TOLLGATE_JOURNAL_MAX_BYTES", "4MiB");
        let platform = settings.start();
        platform.api().put("/config", configuration(&upstream.url, &limits()));
        let world = World {
            platform,
            upstream,
            dir,
        };
        let subscriber = world.subscriber("acme");
        Self {
            world,
            power,
            subscriber,
            calls: Vec::new(),
            random,
        }
    }

    fn cut(&mut self, round: u64, kernel: Kernel) -> Cut {
        let plan = Plan::new(
            self.world.platform.gateway(),
            &self.subscriber.key,
            &format!("p{round}"),
        );
        let load = plan.seed(self.random.next()).pause(Duration::from_millis(1)).start();
        load.wait_successes(100);
        std::thread::sleep(Duration::from_millis(self.random.below(400)));
        self.world.platform.kill();
        let at = Instant::now();
        load.killed();
        self.calls.extend(load.stop());
        let sectors = self.power.cut(&mut self.random);
        if kernel == Kernel::BootsAnew {
            self.power.boot(&mut self.random);
        }
        self.world.platform.restart();
        let counted: std::collections::HashSet<String> =
            self.books().events.into_iter().map(|event| event.request_id).collect();
        let mine = self
            .calls
            .iter()
            .filter(|call| call.id.starts_with(&format!("p{round}-")) && call.is_success());
        let lost: Vec<&Call> = mine.filter(|call| !counted.contains(&call.id)).collect();
        let oldest = lost
            .iter()
            .map(|call| at.saturating_duration_since(call.at))
            .max()
            .unwrap_or_default();
        Cut {
            sectors,
            lost: lost.len(),
            oldest,
            gaps: self.world.metric("tollgate_usage_gaps_total"),
        }
    }

    fn books(&self) -> Books {
        Books::read(
            &self.world.api(),
            &self.subscriber,
            self.calls.clone(),
            self.world.upstream.served(),
        )
    }
}

/// What must not be even after a power loss: all but requests that are missing.
fn wrong(books: &Books) -> Vec<Difference> {
    let mut found = differences(books);
    found.retain(|one| {
        !matches!(
            one,
            Difference::NotCounted(_) | Difference::ServedInVain(_) | Difference::TooManyInVain { .. }
        )
    });
    found
}

#[test]
fn a_power_loss_leaves_a_gap_and_never_a_wrong_record() {
    let (mut machine, cuts) = (Machine::new(seed()), setting("TOLLGATE_TEST_CUTS", 6));
    let (mut sectors, mut lost, mut oldest) = (0, 0, Duration::ZERO);
    for round in 0..cuts {
        let cut = machine.cut(round, Kernel::BootsAnew);
        let found = wrong(&machine.books());
        assert!(
            found.is_empty(),
            "cut {round}: {} differences, such as {:#?}",
            found.len(),
            &found[..found.len().min(5)]
        );
        assert!(
            cut.lost == 0 || cut.gaps > 0,
            "cut {round}: {} requests lost in silence",
            cut.lost
        );
        (sectors, lost, oldest) = (sectors + cut.sectors, lost + cut.lost, oldest.max(cut.oldest));
    }
    println!(
        "{cuts} cuts: {sectors} sectors and {lost} of {} requests lost, all announced; the oldest {} ms before its cut",
        machine.calls.len(),
        oldest.as_millis()
    );
    assert!(sectors > 0 && lost > 0, "nothing was lost: the shim does nothing");
    // 100 ms between two syncs, and what a busy machine adds.
    assert!(
        oldest < Duration::from_secs(2),
        "a request was lost {} ms after its answer",
        oldest.as_millis()
    );
}

/// The control: a kernel that claims it never stopped hides the losses, which the check above notices.
#[test]
fn without_the_boot_id_losses_would_be_silent() {
    let mut machine = Machine::new(seed());
    let silent = (0..40)
        .map(|round| machine.cut(round, Kernel::ClaimsItNeverStopped))
        .find(|cut| cut.lost > 0 && cut.gaps == 0);
    assert!(silent.is_some(), "the check is blind");
}
