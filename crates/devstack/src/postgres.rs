//! PostgreSQL: binaries from the machine or through Maven, a cluster copied from a template in the cache.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::cache::Cache;
use crate::data::DataDir;
use crate::error::StartError;
use crate::port;
use crate::probe::Probe;
use crate::process::{Conditions, RunAs};
use crate::server::{Definition, Server};

mod binaries;
mod template;
mod user;

pub(crate) use binaries::Binaries;
pub(crate) use user::{check_reach, run_as};

pub(crate) const PART: &str = "postgres";
/// The superuser of the cluster, and the initial database.
const OWNER: &str = "aqueduct";

/// The result of the preflight check.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) binaries: Binaries,
    pub(crate) user: Option<RunAs>,
    pub(crate) port: Option<u16>,
}

/// A running server and how to connect to its database.
pub(crate) async fn start(
    plan: &Plan,
    cache: &Cache,
    data: &DataDir,
) -> Result<(Server, PgConnectOptions), StartError> {
    let bin = plan.binaries.fetch(cache).await?;
    let home = home(data);
    let cluster = cluster_in(data.path());
    let stored_password = home.join("password");
    std::fs::create_dir_all(&home).map_err(StartError::io("create", &home))?;
    // The password is stored when the cluster is complete: one without it is the rest of a start that was cut off.
    let known = std::fs::read_to_string(&stored_password).ok();
    let initial = match &known {
        Some(password) => password.clone(),
        None => {
            template::copy(&bin, plan.binaries.version(), plan.user.as_ref(), cache, &cluster, data.is_kept())
                .await?
        }
    };
    let ((mut server, connection), _) = port::start_on(PART, plan.port, async |port| {
        let connection = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(OWNER)
            .password(&initial)
            .database("postgres")
            .disable_statement_logging();
        let server = Server::new(definition(&bin, plan, data, &cluster, port, connection.clone())?);
        server.start().await?;
        Ok((server, connection))
    })
    .await?;
    if known.is_some() {
        return Ok((server, connection.database(OWNER)));
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    set_up(&connection, &password).await.map_err(StartError::PostgresSetup)?;
    template::store_password(&stored_password, &password, data.is_kept())?;
    let connection = connection.password(&password);
    server.set_probe(Probe::Postgres(Box::new(connection.clone())));
    Ok((server, connection.database(OWNER)))
}

fn home(data: &DataDir) -> PathBuf {
    data.path().join("postgres")
}

/// The directory of the cluster in this data directory.
pub(crate) fn cluster_in(data: &Path) -> PathBuf {
    data.join("postgres/cluster")
}

fn definition(
    bin: &Path,
    plan: &Plan,
    data: &DataDir,
    cluster: &Path,
    port: u16,
    connection: PgConnectOptions,
) -> Result<Definition, StartError> {
    let open = Arc::new(File::open(cluster).map_err(StartError::io("open", cluster))?);
    let mut arguments = vec!["-D".into(), by_descriptor(&open).into()];
    arguments.extend(["-p".into(), port.to_string().into()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"] {
        arguments.extend(["-c".into(), setting.into()]);
    }
    Ok(Definition {
        part: PART,
        // The server itself rather than pg_ctl: the signal at our death has to reach it.
        program: bin.join("postgres"),
        arguments,
        environment: Vec::new(),
        // SIGQUIT is Postgres's immediate shutdown: as safe as a crash, and it removes its shared memory.
        conditions: Conditions {
            user: plan.user.clone(),
            abort: Signal::SIGQUIT,
            inherit: vec![data.lock(), open],
        },
        // Its fast shutdown: connections are cut, everything is written.
        stop_by: Signal::SIGINT,
        probe: Probe::Postgres(Box::new(connection)),
        log: home(data).join("postgres.log"),
    })
}

/// A path of an open directory that works for every user, even if a parent is inaccessible (root's home is).
fn by_descriptor(open: &File) -> String {
    format!("/proc/self/fd/{}", open.as_raw_fd())
}

async fn set_up(connection: &PgConnectOptions, password: &str) -> Result<(), sqlx::Error> {
    let mut connection = connection.connect().await?;
    connection.execute(sqlx::AssertSqlSafe(format!("alter role {OWNER} password '{password}'"))).await?;
    connection.execute(sqlx::AssertSqlSafe(format!("create database {OWNER}"))).await?;
    connection.close().await
}

/// Creates a database on the server of the URL `server` and returns its URL.
pub(crate) async fn create_database(server: &str, name: &str) -> Result<String, sqlx::Error> {
    let options: PgConnectOptions = server.parse()?;
    let options = options.disable_statement_logging();
    let mut connection = options.connect().await?;
    let quoted = name.replace('"', "\"\"");
    connection.execute(sqlx::AssertSqlSafe(format!("create database \"{quoted}\""))).await?;
    connection.close().await?;
    Ok(options.database(name).to_url_lossy().into())
}
