//! One worker: a thread with a runtime of its own, and all that only this thread touches.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use counters::Counters;
use domain::ids::ApiId;
use serving::request_id::RequestId;
use snapshot::{CompiledApi, Reader, Snapshot};

use crate::admit::WhenFull;
use crate::chance::Chance;
use crate::emit::Emitter;
use crate::flight::Flights;
use crate::forward::Forwarder;
use crate::identify;
use crate::meters::Rules;
use crate::metrics::{OperationTally, Sheet};
use crate::reject::Refusals;
use crate::stamp::{Periods, Stamper};
use crate::usage_endpoint::Calls;
use serving::trust::TrustedProxies;

/// How often a worker looks at what is under way.
const TICK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: u32 = 4;

/// What is prepared for an operation when it is first called, and kept.
pub(crate) struct PerOperation {
    api: Arc<CompiledApi>,
    pub(crate) rules: Rc<Rules>,
    pub(crate) tally: Arc<OperationTally>,
}

type Prepared = HashMap<ApiId, HashMap<Arc<str>, Rc<PerOperation>>>;

/// A worker's parts.
pub(crate) struct Worker {
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) when_full: WhenFull,
    pub(crate) reader: RefCell<Reader>,
    pub(crate) counters: Counters,
    pub(crate) emitter: Emitter,
    pub(crate) flights: Flights,
    pub(crate) refusals: Refusals,
    pub(crate) usage_calls: Calls,
    pub(crate) forwarder: Forwarder,
    pub(crate) stamper: Stamper,
    pub(crate) periods: Periods,
    pub(crate) chance: Chance,
    pub(crate) sheet: Arc<Sheet>,
    /// The origin of monotonic time, the same for all workers.
    pub(crate) origin: Instant,
    pub(crate) prepared: RefCell<Prepared>,
    /// The snapshot that requests under way were last held against.
    pub(crate) looked_at: RefCell<Option<Arc<Snapshot>>>,
}

impl Worker {
    /// Nanoseconds of the monotonic clock since the gateway's start.
    pub(crate) fn mono_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A request id for a request that brought none.
    pub(crate) fn fresh_id(&self) -> RequestId {
        let millis = u64::try_from(self.stamper.now().as_millis()).unwrap_or(0);
        RequestId::generate(millis, self.chance.bytes())
    }

    /// The revision in force.
    pub(crate) fn revision(&self) -> u64 {
        self.reader.borrow_mut().current().revision()
    }

    /// What is prepared for an operation.
    pub(crate) fn per_operation(&self, api: &Arc<CompiledApi>, operation: &Arc<str>) -> Rc<PerOperation> {
        let known = self
            .prepared
            .borrow()
            .get(&api.id)
            .and_then(|operations| operations.get(operation))
            .cloned();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.api, api)) {
            return known;
        }
        let per = Rc::new(PerOperation {
            api: Arc::clone(api),
            rules: Rc::new(Rules::new(&api.meters, operation)),
            tally: self.sheet.operation(&api.name, operation),
        });
        let mut prepared = self.prepared.borrow_mut();
        prepared
            .entry(api.id)
            .or_default()
            .insert(Arc::clone(operation), Rc::clone(&per));
        per
    }

    /// Looks at what is under way, for ever.
    pub(crate) async fn tick(&self) {
        let mut timer = tokio::time::interval(TICK);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = 0_u32;
        loop {
            timer.tick().await;
            self.follow_snapshot();
            count = (count + 1) % TICKS_A_SECOND;
            if count == 0 {
                self.each_second();
            }
        }
    }

    /// What is done once a second, and once more at the end.
    pub(crate) fn each_second(&self) {
        self.emitter.tick(&self.flights, &self.refusals, self.stamper.now());
        self.forwarder.upstreams.tend();
        self.usage_calls.forget();
    }

    /// Ends what a new snapshot no longer lets in.
    fn follow_snapshot(&self) {
        let mut reader = self.reader.borrow_mut();
        let snapshot = reader.current();
        self.sheet.serves(snapshot.revision());
        let looked_at = self.looked_at.replace(Some(Arc::clone(snapshot)));
        if looked_at.is_some_and(|known| Arc::ptr_eq(&known, snapshot)) {
            return;
        }
        let now = self.stamper.now();
        let gone = self.flights.select(|flight| {
            let subject = &flight.subject;
            !identify::is_still_served(snapshot, subject.api.id, subject.caller.as_ref(), now)
        });
        let stale = |per: &Rc<PerOperation>| {
            !snapshot
                .routes()
                .api(per.api.id)
                .is_some_and(|api| Arc::ptr_eq(api, &per.api))
        };
        let mut prepared = self.prepared.borrow_mut();
        prepared
            .values_mut()
            .for_each(|operations| operations.retain(|_, per| !stale(per)));
        drop(prepared);
        drop(reader);
        for flight in gone {
            tracing::info!(request_id = %flight.request_id, "open request ended: its caller may no longer be served");
            flight.end();
        }
    }
}
