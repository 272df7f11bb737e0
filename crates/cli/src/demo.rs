//! `aqueduct demo`: the whole pipeline on one machine, fed with a real shop's orders, and checked.

mod arguments;
mod latency;
mod manifest;
mod progress;
mod services;
mod stages;
mod summary;
mod tail;
pub(crate) mod verify;
mod watch;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqueduct::{Configuration, EventStore};
use aqueduct_devstack::{Data, DevStack, Part};
use aqueduct_eventstore::EventStoreDb;
use aqueduct_service::config::variable;
use aqueduct_service::{TelemetryOptions, shutdown, telemetry};
use aqueduct_shop::input::{self, Endpoints, Feeder, Plan, Step};
use futures::future::join_all;
use sqlx::PgPool;

pub(crate) use self::arguments::Arguments;
use self::latency::Latency;
use self::manifest::Manifest;
use self::progress::{Bars, Expected};
use self::services::{Environment, Service};
use self::stages::{StageTimes, Stages, StagesError};
use self::summary::Summary;
use self::watch::{StalledError, Watch};
use crate::Failure;
use crate::configuration::{Addresses, Demo};

/// Interval between two polls of the stages.
const POLL: Duration = Duration::from_millis(200);
/// Shows slow steps of the first start, and errors. The checker reports errors of Kafka itself. The services log as
/// configured, to files of their own.
const LOG: &str = "warn,aqueduct_devstack=info,aqueduct_service=info,rdkafka=off,librdkafka=off";

/// Runs the demo. Everything it starts ends with it.
pub(crate) async fn run(arguments: Arguments, configuration: Configuration) -> Result<ExitCode, Failure> {
    let arguments = &arguments;
    let log = TelemetryOptions { log: LOG.to_owned(), ..TelemetryOptions::default() };
    let _telemetry = telemetry::init("aqueduct-demo", &log)?;
    let shutdown = shutdown::on_signal()?;
    let path = match &arguments.input {
        Some(path) => path.clone(),
        None => Demo::input(&configuration)?,
    };
    let lines = input::read(&path)?;
    let wanted = Manifest {
        orders: arguments.orders.limit(),
        input: format!("{} lines, {} bytes", lines.len(), std::fs::metadata(&path)?.len()),
        latency: None,
    };
    let plan = Plan::make(lines, arguments.orders.limit());
    for malformed in &plan.malformed {
        eprintln!("{}: {malformed}", path.display());
    }
    eprintln!("starting the servers");
    let starting = DevStack::start(stack_options(arguments, &configuration));
    let Some(stack) = shutdown.run_until_cancelled(starting).await else {
        return Ok(ExitCode::from(shutdown::INTERRUPTED));
    };
    let stack = stack?;
    let checked = on_stack(arguments, &configuration, &stack, &plan, &path, wanted);
    let finished = match shutdown.run_until_cancelled(checked).await {
        None => Ok(ExitCode::from(shutdown::INTERRUPTED)),
        // A server that has ended is the reason, whatever was noticed first.
        Some(Err(error)) => Err(stack.check().await.err().map_or(error, Failure::from)),
        Some(Ok((exit_code, services))) => {
            if arguments.keep {
                shutdown.cancelled().await;
            }
            services.stop().await;
            Ok(exit_code)
        }
    };
    stack.shutdown().await;
    finished
}

/// Servers that are configured are used; the others are started.
fn stack_options(arguments: &Arguments, configuration: &Configuration) -> aqueduct_devstack::Options {
    let part = |url: &Option<String>| url.clone().map_or_else(Part::start, Part::Given);
    aqueduct_devstack::Options {
        data: arguments.data.clone().map_or(Data::Temporary, Data::Kept),
        event_store: part(&configuration.eventstore.url),
        kafka: part(&configuration.kafka.brokers),
        registry: part(&configuration.registry.url),
        postgres: part(&configuration.postgres.url),
        runs_long: arguments.keep,
        ..aqueduct_devstack::Options::none()
    }
}

/// Feeds the plan, checks the result and reports it. The services still run then.
async fn on_stack(
    arguments: &Arguments,
    configuration: &Configuration,
    stack: &DevStack,
    plan: &Plan,
    input: &Path,
    wanted: Manifest,
) -> Result<(ExitCode, Services), Failure> {
    let mut manifest = Manifest::open(stack.data_dir(), wanted)?;
    let addresses = Addresses {
        eventstore: stack.event_store_url()?.to_owned(),
        brokers: stack.kafka_bootstrap()?.to_owned(),
        registry: stack.registry_url()?.to_owned(),
        postgres: stack.postgres_url()?.to_owned(),
    };
    let given = configuration;
    let configuration = addresses.configure(given);
    aqueduct_shop::app().set_up(&configuration).await?;

    let mut services = Services::start(&configuration, &addresses, stack.data_dir()).await?;
    let ran = services.run(plan, &addresses, stack, manifest.latency).await;
    let (latency, times) = match ran {
        Ok(measured) => measured,
        Err(error) => {
            services.stop().await;
            return Err(error);
        }
    };
    if manifest.latency != latency {
        manifest.latency = latency;
        manifest.save(stack.data_dir())?;
    }
    eprintln!("checking");
    let orders = arguments.orders.limit();
    let options = verify::options(&configuration, &addresses, input.to_owned(), orders);
    let report = aqueduct_shop_verify::check(&options).await?;
    let summary = Summary { report, plan, latency, times };
    summary.print(arguments)?;
    if arguments.keep {
        summary.print_urls(&addresses, given, &services);
    }
    Ok((summary.exit_code(), services))
}

/// The run failed while services reported problems.
#[derive(Debug, thiserror::Error)]
#[error("{problems}")]
struct Obstructed {
    problems: String,
    source: Failure,
}

/// All services of the demo.
struct Services {
    relay: Service,
    projections: Service,
    users: Service,
    orders: Service,
    legacy_orders: Service,
    inventory: Service,
}

impl Services {
    async fn start(
        configuration: &Configuration,
        addresses: &Addresses,
        data: &Path,
    ) -> Result<Self, Failure> {
        let logs = data.join("logs");
        std::fs::create_dir_all(&logs)?;
        let mut overrides = addresses.to_environment();
        let listeners = [
            "http.relay",
            "http.project",
            "shop.users",
            "shop.orders",
            "shop.legacy_orders",
            "shop.inventory",
        ];
        overrides.extend(listeners.map(|key| (variable(key), "127.0.0.1:0".to_owned())));
        let environment = Environment { config: configuration.path.clone(), overrides, logs };
        let start = |name, arguments: &'static [&'static str]| Service::start(name, arguments, &environment);
        let (relay, projections, users, orders, legacy_orders, inventory) = tokio::try_join!(
            start("relay", &["relay"]),
            start("projections", &["shop", "project"]),
            start("users", &["shop", "users"]),
            start("orders", &["shop", "orders"]),
            start("legacy-orders", &["shop", "legacy-orders"]),
            start("inventory", &["shop", "inventory"]),
        )?;
        Ok(Self { relay, projections, users, orders, legacy_orders, inventory })
    }

    fn all(&mut self) -> [&mut Service; 6] {
        let Self { relay, projections, users, orders, legacy_orders, inventory } = self;
        [relay, projections, users, orders, legacy_orders, inventory]
    }

    /// Where each service listens.
    fn urls(&self) -> [(&'static str, &str); 6] {
        let Self { relay, projections, users, orders, legacy_orders, inventory } = self;
        [relay, projections, users, orders, legacy_orders, inventory].map(|it| (it.name(), it.url()))
    }

    /// Feeds the plan and waits until everything that came of it has gone through all stages.
    async fn run(
        &mut self,
        plan: &Plan,
        addresses: &Addresses,
        stack: &DevStack,
        measured: Option<Latency>,
    ) -> Result<(Option<Latency>, StageTimes), Failure> {
        let options = aqueduct_eventstore::Options::new(&addresses.eventstore);
        let store: Arc<dyn EventStore> = Arc::new(EventStoreDb::new(options)?);
        let postgres = PgPool::connect(&addresses.postgres).await?;
        let feeder = Feeder::new(Endpoints {
            users: self.users.url().to_owned(),
            orders: self.orders.url().to_owned(),
            legacy_orders: self.legacy_orders.url().to_owned(),
            inventory: self.inventory.url().to_owned(),
        });
        let bars = Bars::new(Expected::of(plan));
        let mut stages = Stages::start(store, postgres, self.relay.url().to_owned(), bars).await?;
        let fed = stages.fed();
        let registered = stages.registered();
        let fed_all = AtomicBool::new(false);
        let feed = async {
            // The first customers one by one, at a moderate rate; the rest as fast as it goes.
            let first = first_customers(plan);
            let latency = latency::measure(&feeder, &first, &registered, &addresses.postgres).await?;
            feeder
                .feed(plan, |answered| {
                    fed.fetch_add(answered as u64, Ordering::Relaxed);
                })
                .await?;
            fed_all.store(true, Ordering::Relaxed);
            Ok::<_, Failure>(latency.or(measured))
        };
        // Concurrently: while a process does not answer a poll, the feed and its measurements continue.
        let ran = tokio::try_join!(feed, self.watch(&mut stages, stack, &fed_all));
        drop(stages);
        match ran {
            Ok((latency, times)) => Ok((latency, times)),
            Err(error) => Err(self.with_problems(error).await),
        }
    }

    /// Polls the stages until all is fed and applied. Fails when a process ends or nothing moves any longer.
    async fn watch(
        &mut self,
        stages: &mut Stages,
        stack: &DevStack,
        fed_all: &AtomicBool,
    ) -> Result<StageTimes, Failure> {
        let mut watch = Watch::new();
        loop {
            let fed_before = fed_all.load(Ordering::Relaxed);
            match stages.poll().await {
                Ok(done) if done && fed_before => return Ok(stages.times()),
                Ok(_) => watch.answered(),
                Err(StagesError::NoAnswer(silent)) => watch.note_silent(silent),
                Err(error) => return Err(error.into()),
            }
            stack.check().await?;
            for service in self.all() {
                service.check()?;
            }
            for news in watch.ask(&self.all()).await {
                stages.say(&news);
            }
            watch.expect_movement(stages.progress())?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// The failure, below what keeps the services from their work: often its cause.
    async fn with_problems(&mut self, error: Failure) -> Failure {
        // It names them already.
        if error.is::<StalledError>() {
            return error;
        }
        let services = self.all();
        let problems = join_all(services.iter().map(|service| service.problem())).await;
        let problems: Vec<String> = services
            .iter()
            .zip(problems)
            .filter_map(|(service, problem)| Some(format!("service {}: {}", service.name(), problem?)))
            .collect();
        if problems.is_empty() {
            error
        } else {
            Obstructed { problems: problems.join("; "), source: error }.into()
        }
    }

    async fn stop(self) {
        let Self { relay, projections, users, orders, legacy_orders, inventory } = self;
        // What takes commands first, then what carries their events.
        tokio::join!(users.stop(), orders.stop(), legacy_orders.stop());
        tokio::join!(inventory.stop(), relay.stop(), projections.stop());
    }
}

fn first_customers(plan: &Plan) -> Vec<&Step> {
    let steps = plan.months.iter().flat_map(|month| &month.steps);
    steps.filter(|step| matches!(step, Step::Register(_))).take(latency::EVENTS).collect()
}
