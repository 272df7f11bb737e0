//! The whole product around a test: real servers, and each service a process of its own.

use std::fmt::Debug;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_core::EventStore;
use aqueduct_devstack::{Child, Conditions, DevStack, Options};
use aqueduct_eventstore::EventStoreDb;
use aqueduct_service::announced;
use aqueduct_service::config::variable;
use aqueduct_shop::input::{self, Endpoints, Feeder, Plan};
use aqueduct_verify::Report;
use nix::sys::signal::Signal;
use sqlx::PgPool;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_aqueduct-under-test");
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where the services of the shop listen.
const SHOP_LISTENERS: [&str; 4] = ["shop.users", "shop.orders", "shop.legacy_orders", "shop.inventory"];
/// How long anything may take that a test waits for. Generous: machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Says something that is worth knowing of a test that passes too: past the capture of its output.
pub(crate) fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// The source files of a crate, with their paths in its `src`.
pub(crate) fn sources(of: &str) -> Vec<(PathBuf, String)> {
    files_below(&Path::new("crates").join(of).join("src"), "rs")
}

/// All files with this extension below a folder of the repository, with their paths in it. Installed packages are left
/// out.
pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(ROOT).join(folder);
    let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    files
}

/// Looks again and again until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pauses = tokio::time::interval(Duration::from_millis(20));
    loop {
        pauses.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
    }
}

/// Looks every second until there is something to see, as long as what it sees instead changes.
pub(crate) async fn while_moving<T, M: PartialEq + Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, M>,
) -> T {
    let (mut last, mut moved_at) = (None, Instant::now());
    let mut pauses = tokio::time::interval(Duration::from_secs(1));
    loop {
        pauses.tick().await;
        let now = match look().await {
            Ok(seen) => return seen,
            Err(now) => Some(now),
        };
        if now != last {
            (last, moved_at) = (now, Instant::now());
        }
        assert!(moved_at.elapsed() < PATIENCE, "{what}: nothing moved for {PATIENCE:?}, still {last:?}");
    }
}

/// Path of the product's sample configuration.
pub(crate) fn configuration() -> PathBuf {
    Path::new(ROOT).join("deploy/local/aqueduct.toml")
}

/// Path of the real shop's orders.
pub(crate) fn orders_file() -> PathBuf {
    Path::new(ROOT).join("tests/data/online-retail/orders-2010-12-to-2011-06.csv.gz")
}

/// The first orders of the real shop.
pub(crate) fn plan(orders: usize) -> Plan {
    Plan::make(input::read(&orders_file()).unwrap(), Some(orders))
}

/// Servers with schemas, topics and tables, and the environment in which services find them.
pub(crate) struct Pipeline {
    pub(crate) stack: DevStack,
    pub(crate) environment: Vec<(String, String)>,
}

impl Pipeline {
    /// Starts the servers and runs `aqueduct shop setup`. `overrides` are configuration keys such as
    /// `RELAY__LINGER_MS`.
    pub(crate) async fn start(overrides: &[(&str, &str)]) -> Self {
        Self::on(DevStack::start(Options::all()).await.unwrap(), overrides)
    }

    /// The same on servers that are running, with what is stored on them.
    pub(crate) fn on(stack: DevStack, overrides: &[(&str, &str)]) -> Self {
        let mut environment: Vec<_> = [
            ("EVENTSTORE__URL", stack.event_store_url().unwrap()),
            ("KAFKA__BROKERS", stack.kafka_bootstrap().unwrap()),
            ("REGISTRY__URL", stack.registry_url().unwrap()),
            ("POSTGRES__URL", stack.postgres_url().unwrap()),
        ]
        .into_iter()
        .chain(overrides.iter().copied())
        .map(|(key, value)| (format!("AQUEDUCT_{key}"), value.to_owned()))
        .collect();
        for service in ["http.relay", "http.project"].into_iter().chain(SHOP_LISTENERS) {
            environment.push((variable(service), "127.0.0.1:0".to_owned()));
        }
        let pipeline = Self { stack, environment };
        pipeline.setup();
        pipeline
    }

    fn setup(&self) {
        let output = self.command(&["shop", "setup"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The product with these arguments in this environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(configuration()).args(arguments);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Starts a service and waits until it listens.
    pub(crate) async fn service(&self, name: &str, arguments: &[&str]) -> Service {
        let log = self.stack.data_dir().join(format!("{name}.log"));
        let before = std::fs::read(&log).map_or(0, |text| text.len());
        let mut child = Child::spawn(self.command(arguments), &Conditions::plain(), &log).unwrap();
        let url = eventually(&format!("{name} listens"), async || {
            let text = std::fs::read_to_string(&log).unwrap();
            assert!(child.ended().unwrap().is_none(), "{name} ended:\n{text}");
            announced(&text[before..]).map(str::to_owned)
        })
        .await;
        Service { child, url, log }
    }

    /// A client of the event store.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        let options = aqueduct_eventstore::Options::new(self.stack.event_store_url().unwrap());
        Arc::new(EventStoreDb::new(options).unwrap())
    }

    /// A connection pool to the database.
    pub(crate) async fn postgres(&self) -> PgPool {
        PgPool::connect(self.stack.postgres_url().unwrap()).await.unwrap()
    }

    /// Compares input, store, topics and Postgres.
    pub(crate) async fn verify(&self, orders: usize) -> Report {
        let options = aqueduct_shop_verify::Options {
            orders: Some(orders),
            ..aqueduct_shop_verify::Options::new(
                self.stack.event_store_url().unwrap(),
                self.stack.kafka_bootstrap().unwrap(),
                self.stack.registry_url().unwrap(),
                self.stack.postgres_url().unwrap(),
                orders_file(),
            )
        };
        aqueduct_shop_verify::check(&options).await.unwrap()
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) log: PathBuf,
}

impl Service {
    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        self.child.signal(Signal::SIGTERM);
        let ended = self.child.wait(PATIENCE).await.unwrap();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", self.log());
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.signal(Signal::SIGKILL);
        assert!(self.child.wait(PATIENCE).await.unwrap().is_some());
    }
}

/// The services that take commands.
pub(crate) struct Shop {
    pub(crate) users: Service,
    pub(crate) orders: Service,
    pub(crate) legacy_orders: Service,
}

impl Shop {
    pub(crate) async fn start(pipeline: &Pipeline) -> Self {
        let (users, orders, legacy_orders) = tokio::join!(
            pipeline.service("users", &["shop", "users"]),
            pipeline.service("orders", &["shop", "orders"]),
            pipeline.service("legacy-orders", &["shop", "legacy-orders"]),
        );
        Self { users, orders, legacy_orders }
    }

    /// What feeds them, and the inventory service at this URL.
    pub(crate) fn feeder(&self, inventory: &str) -> Feeder {
        Feeder::new(Endpoints {
            users: self.users.url.clone(),
            orders: self.orders.url.clone(),
            legacy_orders: self.legacy_orders.url.clone(),
            inventory: inventory.to_owned(),
        })
    }
}

/// Waits until everything that was fed has gone through all stages, and compares.
pub(crate) async fn finished(pipeline: &Pipeline, orders: usize) -> Report {
    let (store, postgres) = (pipeline.store(), pipeline.postgres().await);
    let (mut last, mut moved_at) = (None, Instant::now());
    let mut pauses = tokio::time::interval(Duration::from_secs(1));
    loop {
        pauses.tick().await;
        let taken: Option<String> = sqlx::query_scalar("SELECT sum(revision + 1)::text FROM aqueduct.inbox")
            .fetch_one(&postgres)
            .await
            .unwrap();
        let now = Some((store.last_position().await.unwrap(), taken));
        if last != now {
            (last, moved_at) = (now, Instant::now());
            continue;
        }
        // Nothing moved for a second: either all is done, or the report says what is missing. It is believed when
        // nothing has moved for long, however much there was to do.
        let given_up = moved_at.elapsed() > PATIENCE;
        let report = pipeline.verify(orders).await;
        if report.is_clean() || given_up {
            return report;
        }
    }
}
