//! PgBouncer in transaction mode, between consumers and Postgres.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use aqueduct_devstack::{Child, Conditions, DevStack, Options, Part};
use aqueduct_projection::consumer::{self, Registration, Timeouts};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use nix::unistd::Uid;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _};
use tempfile::TempDir;

use crate::consumers::succeed;
use crate::support::eventually;

/// Debian's package, and those of its libraries that a machine with PostgreSQL may lack.
const PACKAGES: [&str; 3] = ["pgbouncer", "libc-ares2", "libevent-2.1-7"];

/// The program and the folder of its libraries.
struct Program {
    path: PathBuf,
    libraries: Option<PathBuf>,
}

/// Installed, or unpacked from Debian's packages. Panics with what to install.
fn program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let installed = ["pgbouncer", "/usr/sbin/pgbouncer"];
        if let Some(path) =
            installed.into_iter().find(|it| Command::new(it).arg("--version").output().is_ok())
        {
            return Program { path: path.into(), libraries: None };
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgbouncer");
        let path = folder.join("usr/sbin/pgbouncer");
        if !path.exists() {
            fetch(&folder);
        }
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        Program { path, libraries: Some(folder.join(libraries)) }
    })
}

fn fetch(folder: &Path) {
    let unfinished = folder.with_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).unwrap();
    }
    apt_get(&unfinished, &["update"]);
    apt_get(&unfinished, &[&["download"][..], &PACKAGES].concat());
    for package in fs::read_dir(&unfinished).unwrap() {
        let package = package.unwrap().path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            succeed(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unfinished));
        }
    }
    fs::rename(&unfinished, folder).unwrap();
}

/// Runs apt-get with lists of packages of its own: a new machine has none, and only root may change those of the machine.
fn apt_get(folder: &Path, arguments: &[&str]) {
    let lists = folder.join("lists");
    fs::create_dir_all(lists.join("partial")).unwrap();
    let mut command = Command::new("apt-get");
    command.arg("-o").arg(format!("Dir::State::lists={}", lists.display())).current_dir(folder);
    command.args(["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]).args(arguments);
    let output = command.output();
    assert!(
        output.as_ref().is_ok_and(|output| output.status.success()),
        "this test runs PgBouncer: install it (`apt-get install pgbouncer`), or let apt-get reach Debian's packages: {output:?}"
    );
}

/// A running pooler. Each transaction of a client gets the next one of three connections to the server.
pub(super) struct PgBouncer {
    child: Child,
    port: u16,
    database: String,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts it for a role whose password is its name.
    pub(super) async fn start(server: &str, role: &str) -> Self {
        let options: PgConnectOptions = server.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users.txt");
        fs::write(&users, format!("\"{role}\" \"{role}\"\n")).unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\nmin_pool_size = 3\n\
             server_round_robin = 1\nignore_startup_parameters = extra_float_digits\n",
            options.get_host(),
            options.get_port(),
            users.display()
        );
        fs::write(&file, settings).unwrap();
        let Program { path, libraries } = program();
        let mut command = Command::new(path);
        if let Some(libraries) = libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if Uid::effective().is_root() {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        command.arg(&file);
        let child = Child::spawn(command, &Conditions::plain(), &folder.path().join("log")).unwrap();
        let database = options.get_database().unwrap().to_owned();
        let mut pooler = Self { child, port, database, folder };
        let url = pooler.url(role);
        eventually("PgBouncer answers", async || {
            let ended = pooler.child.ended().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(pooler.folder.path().join("log")).unwrap());
            PgConnection::connect(&url).await.ok()
        })
        .await;
        pooler
    }

    /// The URL for a role whose password is its name.
    pub(super) fn url(&self, role: &str) -> String {
        format!("postgres://{role}:{role}@127.0.0.1:{}/{}", self.port, self.database)
    }
}

const ROLE: &str = "pooled";
const TOPIC: &str = "bank.accounts";

/// A record of the stream `a`.
fn event(offset: i64, revision: i64) -> Value {
    json!({
        "topic": TOPIC, "partition": 0, "offset": offset, "key": "a", "timestamp": 1, "ce_source": "store",
        "ce_subject": "a", "ce_id": format!("{revision}@a"), "ce_eventid": format!("event {revision}"),
        "ce_revision": revision.to_string(), "ce_previousrevision": (revision - 1).to_string(),
    })
}

/// A batch of one record: its result, and the server's process.
async fn take(connection: &mut PgConnection, epoch: i64, offset: i64, revision: i64) -> (String, i32) {
    let mut transaction = connection.begin().await.unwrap();
    let record = event(offset, revision);
    let (result, process): (String, i32) = sqlx::query_as(
        "select result, pg_backend_pid() from aqueduct_consumer.receive('pooled', 1, $1, $2, '[]')",
    )
    .bind(partitions(epoch))
    .bind(json!([&record]))
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    let header = |name| json!({ "name": name, "value": base64(record[name].as_str().unwrap()) });
    let headers = ["ce_source", "ce_eventid", "ce_revision", "ce_previousrevision"].map(header);
    let parked =
        json!([{ "topic": TOPIC, "partition": 0, "offset": offset, "key": base64("a"), "headers": headers }]);
    sqlx::query("select aqueduct_consumer.park('pooled', 1, $1)")
        .bind(if result == "new" { json!([]) } else { parked })
        .execute(&mut *transaction)
        .await
        .unwrap();
    let moved = json!([{ "topic": TOPIC, "partition": 0, "epoch": epoch, "next_offset": offset + 1 }]);
    sqlx::query("select aqueduct_consumer.advance('pooled', 1, $1)")
        .bind(moved)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    (result, process)
}

/// Has other clients keep this process of the server in a transaction, so that the next one is on another.
async fn hold(options: &PgConnectOptions, process: i32) -> PgConnection {
    let mut held = Vec::new();
    loop {
        let mut other = options.connect().await.unwrap();
        sqlx::raw_sql("begin").execute(&mut other).await.unwrap();
        let row = sqlx::raw_sql("select pg_backend_pid()").fetch_one(&mut other).await.unwrap();
        if row.get::<i32, _>(0) == process {
            return other;
        }
        held.push(other);
    }
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn partitions(epoch: i64) -> Value {
    json!([{ "topic": TOPIC, "partition": 0, "epoch": epoch }])
}

/// Promise: the functions need no session, so each transaction may be on another connection to the server.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_through_pgbouncer_in_transaction_mode() {
    let stack = DevStack::start(Options { postgres: Part::start(), ..Options::none() }).await.unwrap();
    let server = stack.postgres_url().unwrap();
    let postgres = PgPool::connect(server).await.unwrap();
    let role = format!("create role {ROLE} login password '{ROLE}'");
    sqlx::raw_sql(AssertSqlSafe(role)).execute(&postgres).await.unwrap();
    consumer::install(&postgres).await.unwrap();
    let timeouts = Timeouts::default();
    let registration = Registration { projection: ROLE, owner: ROLE, starts_late: false, timeouts };
    consumer::register(&postgres, registration).await.unwrap();

    let pooler = PgBouncer::start(server, ROLE).await;
    let options: PgConnectOptions = pooler.url(ROLE).parse().unwrap();
    // Statements are not prepared by name.
    let options = options.statement_cache_capacity(0);
    let mut connection = options.connect().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let claim = "select epoch, pg_backend_pid() from aqueduct_consumer.claim('pooled', 1, $1, null, 0, 0, 9, null, 'test')";
    let (epoch, process): (i64, i32) =
        sqlx::query_as(claim).bind(TOPIC).fetch_one(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let _held = hold(&options, process).await;

    let mut processes = BTreeSet::from([process]);
    for (offset, revision, expected) in [(0, 0, "new"), (1, 2, "gap"), (2, 1, "blocked")] {
        let (result, process) = take(&mut connection, epoch, offset, revision).await;
        assert_eq!(result, expected, "revision {revision}");
        processes.insert(process);
    }
    let mut transaction = connection.begin().await.unwrap();
    let held = "select revision from aqueduct_consumer.next_held('pooled', 1, $1, 10, '[]')";
    let held: Vec<i64> =
        sqlx::query_scalar(held).bind(partitions(epoch)).fetch_all(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(held, [1, 2]);
    let (result, process) = take(&mut connection, epoch, 3, 3).await;
    processes.insert(process);
    assert_eq!(result, "new");
    assert!(processes.len() > 1, "all transactions were on one connection to the server");
}
