//! Random histories against a model that keeps every window for ever and counts naively.

use std::collections::HashMap;
use std::sync::Arc;

use counters::{Billable, Cell, Reservation, Times};
use domain::clock::Timestamp;
use domain::enforce::{CalendarUnit, Window};
use domain::period::Every;
use proptest::prelude::*;

use crate::support::{Plan, SECOND, at, bucket, concurrency, cycle, day, minute, quota, tokens, used};

const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Clone)]
enum Op {
    /// A request; `late_ms` before now on the domain clock.
    Admit { late_ms: i64 },
    /// The n-th open request ends.
    Settle { which: usize, billed: bool, tokens: u8 },
    /// The n-th open request is dropped.
    Drop { which: usize },
    /// Both clocks move.
    Step { mono_ms: u64, wall_ms: i64 },
    /// The plan's numbers change.
    Edit {
        rate: u64,
        burst: u64,
        window: u64,
        quota: u64,
        concurrency: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3_i64).prop_map(|late| Op::Admit { late_ms: late * 900_000 }),
        3 => (any::<usize>(), any::<bool>(), 0..9_u8).prop_map(|(which, billed, tokens)| Op::Settle { which, billed, tokens }),
        1 => any::<usize>().prop_map(|which| Op::Drop { which }),
        2 => (0..40_000_u64, 0..DAY_MS).prop_map(|(mono_ms, wall_ms)| Op::Step { mono_ms, wall_ms }),
        2 => (0..400_u64, Just(0)).prop_map(|(mono_ms, wall_ms)| Op::Step { mono_ms, wall_ms }),
        1 => (1..9_u64, 1..9_u64, 1..12_u64, 1..20_u64, 1..6_u64)
            .prop_map(|(rate, burst, window, quota, concurrency)| Op::Edit { rate, burst, window, quota, concurrency }),
    ]
}

/// Numbers of the plan: rate, burst, requests a minute, a day and a period, tokens a period, concurrency.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    rate: u64,
    burst: u64,
    window: u64,
    quota: u64,
    concurrency: u64,
}

impl Numbers {
    fn plan(self) -> Plan {
        let limits = vec![
            bucket(self.rate, self.burst),
            minute(self.window),
            day(self.quota + 3),
            quota(self.quota),
            tokens(self.quota, Some(self.quota)),
            concurrency(self.concurrency),
        ];
        Plan::with_cycle(
            limits,
            cycle(
                "2026-01-31T00:00:00Z",
                "America/New_York",
                Every::new(2, domain::period::Unit::Day).unwrap(),
            ),
        )
    }
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    fixed_start: u64,
    day: Timestamp,
    period: Timestamp,
}

/// Used and reserved of a window that is never forgotten.
type Windows = HashMap<Timestamp, i64>;

struct Model {
    level: u128,
    filled_ns: u64,
    fixed: Option<(u64, u64)>,
    days: Windows,
    periods: Windows,
    tokens: Windows,
    in_flight: u64,
}

impl Model {
    fn new(numbers: Numbers) -> Self {
        Self {
            level: u128::from(numbers.burst) * u128::from(SECOND),
            filled_ns: 0,
            fixed: None,
            days: Windows::new(),
            periods: Windows::new(),
            tokens: Windows::new(),
            in_flight: 0,
        }
    }

    fn refill(&mut self, numbers: Numbers, now_ns: u64) {
        let refill = u128::from(now_ns - self.filled_ns) * u128::from(numbers.rate);
        self.level = (self.level + refill).min(u128::from(numbers.burst) * u128::from(SECOND));
        self.filled_ns = now_ns;
        if self.fixed.is_some_and(|(start, _)| now_ns - start >= 60 * SECOND) {
            self.fixed = None;
        }
    }

    fn admit(&mut self, numbers: Numbers, now: Times, windows: (Window, Window)) -> Option<Ticket> {
        let (day, period) = (windows.0.start, windows.1.start);
        let taken = |map: &Windows, start| u64::try_from(map.get(start).copied().unwrap_or(0)).unwrap();
        let fits = self.level >= u128::from(SECOND)
            && self.fixed.map_or(0, |(_, used)| used) < numbers.window
            && taken(&self.days, &day) < numbers.quota + 3
            && taken(&self.periods, &period) < numbers.quota
            && taken(&self.tokens, &period) < numbers.quota
            && self.in_flight < numbers.concurrency;
        if !fits {
            return None;
        }
        self.level -= u128::from(SECOND);
        let fixed = self.fixed.get_or_insert((now.mono_ns, 0));
        fixed.1 += 1;
        let fixed_start = fixed.0;
        *self.days.entry(day).or_default() += 1;
        *self.periods.entry(period).or_default() += 1;
        self.in_flight += 1;
        Some(Ticket {
            fixed_start,
            day,
            period,
        })
    }

    fn end(&mut self, numbers: Numbers, ticket: Ticket, kept_tokens: Option<i64>) {
        self.in_flight -= 1;
        if let Some(tokens) = kept_tokens {
            *self.tokens.entry(ticket.period).or_default() += tokens;
            return;
        }
        self.level = (self.level + u128::from(SECOND)).min(u128::from(numbers.burst) * u128::from(SECOND));
        if let Some(fixed) = self.fixed.as_mut().filter(|fixed| fixed.0 == ticket.fixed_start) {
            fixed.1 -= 1;
        }
        *self.days.entry(ticket.day).or_default() -= 1;
        *self.periods.entry(ticket.period).or_default() -= 1;
    }

    fn used(&self, numbers: Numbers, windows: (Window, Window)) -> Vec<String> {
        let of = |map: &Windows, window: Window| map.get(&window.start).copied().unwrap_or(0).to_string();
        let tokens_left = u64::try_from(self.level / u128::from(SECOND)).unwrap();
        vec![
            (numbers.burst - tokens_left).to_string(),
            self.fixed.map_or(0, |(_, used)| used).to_string(),
            of(&self.days, windows.0),
            of(&self.periods, windows.1),
            of(&self.tokens, windows.1),
            self.in_flight.to_string(),
        ]
    }
}

struct Run {
    cell: Arc<Cell>,
    model: Model,
    numbers: Numbers,
    plan: Plan,
    now: Times,
    open: Vec<(Reservation, Ticket)>,
}

impl Run {
    fn windows(&self, wall: Timestamp) -> (Window, Window) {
        (CalendarUnit::Day.window(wall), self.plan.cycle.window(wall))
    }

    fn admit(&mut self, late_ms: i64) {
        let now = Times {
            wall: self.now.wall.plus_millis(-late_ms),
            ..self.now
        };
        let windows = self.windows(now.wall);
        let admitted = self.cell.admit(&self.plan.admission(), now);
        let expected = self.model.admit(self.numbers, now, windows);
        assert_eq!(admitted.is_ok(), expected.is_some(), "{admitted:?}");
        self.open.extend(admitted.ok().zip(expected));
    }

    fn take(&mut self, which: usize) -> Option<(Reservation, Ticket)> {
        let count = self.open.len();
        (count > 0).then(|| self.open.swap_remove(which % count))
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Admit { late_ms } => self.admit(late_ms),
            Op::Settle { which, billed, tokens } => {
                let Some((reservation, ticket)) = self.take(which) else {
                    return;
                };
                let outcome = if billed { Billable::Yes } else { Billable::No };
                reservation.settle(outcome, &used(&tokens.to_string()));
                self.model
                    .end(self.numbers, ticket, billed.then_some(i64::from(tokens)));
            }
            Op::Drop { which } => {
                let Some((reservation, ticket)) = self.take(which) else {
                    return;
                };
                drop(reservation);
                self.model.end(self.numbers, ticket, None);
            }
            Op::Step { mono_ms, wall_ms } => {
                self.now.mono_ns += mono_ms * 1_000_000;
                self.now.wall = self.now.wall.plus_millis(wall_ms);
            }
            Op::Edit {
                rate,
                burst,
                window,
                quota,
                concurrency,
            } => {
                self.numbers = Numbers {
                    rate,
                    burst,
                    window,
                    quota,
                    concurrency,
                };
                self.plan = self.numbers.plan();
                self.plan.revision += 1;
            }
        }
    }

    fn compare(&mut self) {
        self.model.refill(self.numbers, self.now.mono_ns);
        let view = self.cell.view(&self.plan.admission(), self.now);
        let found: Vec<String> = view.iter().map(|view| view.used.to_string()).collect();
        assert_eq!(found, self.model.used(self.numbers, self.windows(self.now.wall)));
        let tightest = self.cell.tightest(&self.plan.admission(), self.now).unwrap();
        let least = view
            .iter()
            .filter(|view| view.resets_at.is_some())
            .map(|view| view.remaining)
            .min();
        assert_eq!(least, Some(domain::quantity::Quantity::from_units(tightest.remaining)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_counts_as_the_naive_model_does(ops in proptest::collection::vec(op(), 1..120)) {
        let numbers = Numbers { rate: 4, burst: 6, window: 8, quota: 12, concurrency: 4 };
        let now = Times { mono_ns: 0, wall: at("2026-03-07T12:00:00Z") };
        let mut run = Run {
            cell: Arc::default(), model: Model::new(numbers), numbers, plan: numbers.plan(), now, open: Vec::new(),
        };
        run.compare();
        for op in &ops {
            run.apply(op);
            run.compare();
        }
        run.open.drain(..).for_each(|(reservation, _)| reservation.give_back());
        let view = run.cell.view(&run.plan.admission(), run.now);
        prop_assert_eq!(view[5].used.whole_units(), Some(0), "concurrency leaked");
    }
}
