//! Guarantees 1 (nothing is lost), 2 (nothing is duplicated) and 3 (order is kept): kill -9 of relay, projections and
//! inventory while they work.
//!
//! `KILL_ROUNDS` kills each of them so many times (20), `KILL_SEED` repeats a run's random choices.

use std::time::{Duration, Instant};

use aqueduct_shop::input::{Feeder, Month, Plan, Step};
use nix::sys::signal::Signal;
use sqlx::{Postgres, Transaction};

use crate::support::{PATIENCE, Pipeline, Service, Shop, eventually, plan, say};
use crate::watch::{READERS, Watch};

/// Orders that are fed at a time while a service is frozen; enough for all tries are there for each kill.
const ORDERS_A_TRY: usize = 4;
/// Tries to catch a service inside before it is killed wherever it is.
const TRIES: usize = 3;
/// The longest random wait before each look at a service that works on what was fed.
const LONGEST_WAIT_MS: u64 = 20;
/// Of so many kills at least one quarter must fall inside a transaction, a batch or a half-answered order.
const INSIDE: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Relay,
    Projections,
    Inventory,
}

const TARGETS: [Target; 3] = [Target::Relay, Target::Projections, Target::Inventory];

impl Target {
    fn arguments(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Relay => ("relay", &["relay"]),
            Self::Projections => ("projections", &["shop", "project"]),
            Self::Inventory => ("inventory", &["shop", "inventory"]),
        }
    }

    async fn is_behind(self, watch: &Watch) -> bool {
        match self {
            Self::Relay => watch.relay_is_behind(),
            Self::Projections => watch.projection_is_behind(&views()).await,
            Self::Inventory => watch.projection_is_behind(&["inventory"]).await,
        }
    }

    /// Whether it was stopped inside of what must happen wholly or not at all, or be finished later.
    async fn is_inside(self, watch: &Watch) -> bool {
        match self {
            Self::Relay => watch.transaction_is_open(),
            Self::Projections => watch.batch_is_open(&views()).await,
            Self::Inventory => watch.order_is_half_answered(),
        }
    }
}

fn views() -> Vec<&'static str> {
    READERS.iter().map(|(name, _)| *name).filter(|name| *name != "inventory").collect()
}

/// What is left of the plan, in pieces.
struct Supply<'a> {
    feeder: &'a Feeder,
    steps: std::vec::IntoIter<Step>,
}

impl Supply<'_> {
    /// Feeds the steps up to the given number of orders; false when nothing is left.
    async fn feed(&mut self, orders: usize) -> bool {
        let mut piece = Vec::new();
        let mut left = orders;
        while left > 0 {
            let Some(step) = self.steps.next() else { break };
            left -= usize::from(matches!(step, Step::Order { .. }));
            piece.push(step);
        }
        let fed = !piece.is_empty();
        self.send(Month { deliveries: Vec::new(), steps: piece }).await;
        fed
    }

    async fn send(&self, month: Month) {
        let plan = Plan { months: vec![month], ..Plan::default() };
        self.feeder.feed(&plan, |_| {}).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_nothing_is_lost_or_doubled() {
    let rounds: usize = std::env::var("KILL_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("kills: {rounds} rounds, KILL_SEED={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);

    let session = [("RELAY__SESSION_TIMEOUT_MS", "6000"), ("PROJECTION__SESSION_TIMEOUT_MS", "6000")];
    let pipeline = Pipeline::start(&session).await;
    let watch = Watch::start(&pipeline).await;
    let shop = Shop::start(&pipeline).await;
    let mut running = Vec::new();
    for target in TARGETS {
        let (name, arguments) = target.arguments();
        running.push(pipeline.service(name, arguments).await);
    }
    // The inventory service moves to another port at each start; what it keeps is fed before the first kill.
    let feeder = shop.feeder(&running[2].url);
    let orders = rounds * TARGETS.len() * ORDERS_A_TRY * TRIES;
    let plan = plan(orders);
    let mut supply = Supply { feeder: &feeder, steps: Vec::new().into_iter() };
    let mut rest = Vec::new();
    for Month { deliveries, steps } in plan.months {
        let (corrections, others) = steps.into_iter().partition(|step| matches!(step, Step::Correct { .. }));
        supply.send(Month { deliveries, steps: corrections }).await;
        rest.extend::<Vec<_>>(others);
    }
    supply.steps = rest.into_iter();

    let mut inside = [0; TARGETS.len()];
    for round in 0..rounds {
        for (place, target) in TARGETS.into_iter().enumerate() {
            let mut service = running.remove(place);
            // Every second kill is aimed.
            let aimed = round % 2 == 0;
            let held = match target {
                Target::Projections if aimed => {
                    freeze_with_work(&mut service, target, &watch, &mut supply).await;
                    Some(hold_batch(&mut service, target, &watch).await)
                }
                _ => None,
            };
            let caught_inside = held.is_some()
                || stop_at_work(&mut service, target, &watch, &mut supply, &mut random, aimed).await;
            inside[place] += usize::from(caught_inside);
            service.kill().await;
            let (name, arguments) = target.arguments();
            running.insert(place, pipeline.service(name, arguments).await);
            // Postgres finishes the statement of the dead process, beside its successor.
            if let Some(lock) = held {
                lock.rollback().await.unwrap();
            }
        }
    }
    while supply.feed(ORDERS_A_TRY).await {}
    say(&format!("kills inside a transaction, a batch, a half-answered order: {inside:?} of {rounds} each"));

    let report = crate::support::finished(&pipeline, orders).await;
    assert!(report.is_clean(), "{report}");
    assert!(inside.iter().all(|inside| *inside >= rounds / INSIDE), "{inside:?} of {rounds}");
}

/// Freezes a service until it has work before it, however fast it is.
async fn freeze_with_work(service: &mut Service, target: Target, watch: &Watch, supply: &mut Supply<'_>) {
    service.child.signal(Signal::SIGSTOP);
    assert!(supply.feed(ORDERS_A_TRY).await, "the plan holds too few orders");
    eventually("work for a frozen service", async || {
        watch.level().await;
        target.is_behind(watch).await.then_some(())
    })
    .await;
}

/// Lets a service go on until a batch of it waits for this lock. A batch of views is one statement, which Postgres
/// executes to its end whether its client still lives or not.
async fn hold_batch(service: &mut Service, target: Target, watch: &Watch) -> Transaction<'static, Postgres> {
    let lock = watch.lock_inbox().await;
    service.child.signal(Signal::SIGCONT);
    eventually("a batch that waits", async || target.is_inside(watch).await.then_some(())).await;
    lock
}

/// Feeds a frozen service and stops it at a random moment while it works on that, and says whether it was inside.
async fn stop_at_work(
    service: &mut Service,
    target: Target,
    watch: &Watch,
    supply: &mut Supply<'_>,
    random: &mut fastrand::Rng,
    aimed: bool,
) -> bool {
    for attempt in 1..=TRIES {
        freeze_with_work(service, target, watch, supply).await;
        service.child.signal(Signal::SIGCONT);
        let stopped = stop_unfinished(service, target, watch, random, aimed && attempt < TRIES).await;
        if let Some(inside) = stopped {
            return inside;
        }
    }
    false
}

/// Stops a service at a random moment while its work is unfinished, and says whether it was inside. `None`
/// if it has finished without having been caught; it works on then. An aimed stop lets go of a service that it has not
/// caught inside.
async fn stop_unfinished(
    service: &mut Service,
    target: Target,
    watch: &Watch,
    random: &mut fastrand::Rng,
    aimed: bool,
) -> Option<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let moment = Instant::now() + Duration::from_millis(random.u64(..LONGEST_WAIT_MS));
        tokio::time::sleep_until(moment.into()).await;
        // Stopped, its state can be looked at; and the kill finds it in just this state.
        service.child.signal(Signal::SIGSTOP);
        watch.level().await;
        let behind = target.is_behind(watch).await;
        if behind {
            let inside = target.is_inside(watch).await;
            if inside || !aimed {
                return Some(inside);
            }
        }
        service.child.signal(Signal::SIGCONT);
        if !behind {
            return None;
        }
        assert!(Instant::now() < deadline, "{target:?} does not finish its work:\n{}", service.log());
    }
}
