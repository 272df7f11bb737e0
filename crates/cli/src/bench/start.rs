//! From the start of a process to the first record that it writes.

use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct::Configuration;
use aqueduct_devstack::{Child, Conditions, tail};
use aqueduct_kafka::Cluster;
use aqueduct_relay::Route;
use nix::sys::signal::Signal;

use super::relayed::Surroundings;
use super::report::Starts;
use crate::Failure;

/// Starts that are not shown: a broker that was just started has compiled little of its code.
const WARM_UP: usize = 10;

/// Time-out of a relay's graceful shutdown.
const STOP: Duration = Duration::from_secs(30);

/// Starts a relay process for each round, on a new route with the whole history as its backlog.
pub(super) async fn measure(
    rounds: usize,
    surroundings: &Surroundings,
    configuration: &Configuration,
    events: usize,
) -> Result<Starts, Failure> {
    let mut seconds = Vec::with_capacity(rounds);
    for n in 1..=WARM_UP + rounds {
        let (cluster, _, route) =
            surroundings.new_route(&format!("bench-start-{n}"), NonZeroU32::MIN).await?;
        let taken = first_record(surroundings, configuration, &cluster, &route).await?;
        match n.checked_sub(WARM_UP) {
            Some(round @ 1..) => {
                eprintln!("start: round {round} of {rounds}");
                seconds.push(taken.as_secs_f64());
            }
            Some(0) | None => eprintln!("start: warming up"),
        }
    }
    Ok(Starts {
        name: "relay start",
        work: format!(
            "From the start of `aqueduct relay` until a read_committed reader has seen its first record: one route, one \
             lane, four partitions, new topics, a backlog of {events} events, servers that are warm."
        ),
        seconds,
    })
}

async fn first_record(
    surroundings: &Surroundings,
    configuration: &Configuration,
    cluster: &Cluster,
    route: &Route,
) -> Result<Duration, Failure> {
    let directory = tempfile::tempdir()?;
    let (file, log) = (directory.path().join("aqueduct.toml"), directory.path().join("relay.log"));
    std::fs::write(&file, relay_configuration(&configuration.schemas.directory, cluster, route)?)?;
    let first = surroundings.watch(route, 1).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--config").arg(&file).arg("relay").envs(surroundings.addresses.to_environment());
    let started = Instant::now();
    let mut relay = Child::spawn(command, &Conditions::plain(), &log)?;
    let seen = first
        .all_seen()
        .await
        .map_err(|error| format!("{error}; the end of the relay's log:\n{}", tail(&log)))?;
    relay.signal(Signal::SIGTERM);
    relay.wait(STOP).await?;
    Ok(seen.at.saturating_duration_since(started))
}

/// The configuration file of a relay with this route. The addresses are in the environment.
fn relay_configuration(schemas: &Path, cluster: &Cluster, route: &Route) -> io::Result<String> {
    let Cluster { prefix, source, .. } = cluster;
    let Route { name, topic, partitions, categories, .. } = route;
    // A list of Rust's debug format is one of TOML.
    let categories: Vec<_> = categories.iter().collect();
    let schemas = std::path::absolute(schemas)?;
    Ok(format!(
        r#"
eventstore.source = "{source}"
kafka.prefix = "{prefix}"
schemas.directory = {schemas:?}
http.relay = "127.0.0.1:0"
relay.lanes = 1

[[relay.routes]]
name = "{name}"
topic = "{topic}"
partitions = {partitions}
categories = {categories:?}
"#
    ))
}
