//! From the start of a process to the first record that it writes.

use std::num::NonZeroU32;
use std::time::Duration;

use aqueduct::Configuration;
use aqueduct_kafka::Cluster;
use aqueduct_relay::Options;

use super::relay_process::RelayProcess;
use super::relayed::Surroundings;
use super::report::Starts;
use crate::Failure;

/// Starts that are not shown: a broker that was just started has compiled little of its code.
const WARM_UP: usize = 10;

/// Starts a relay process for each round, on a new route with the whole history as its backlog.
pub(super) async fn measure(
    rounds: usize,
    surroundings: &Surroundings,
    configuration: &Configuration,
    events: usize,
) -> Result<Starts, Failure> {
    let mut seconds = Vec::with_capacity(rounds);
    for n in 1..=WARM_UP + rounds {
        let (cluster, options, _) =
            surroundings.new_route(&format!("bench-start-{n}"), NonZeroU32::MIN).await?;
        let taken = first_record(surroundings, configuration, &cluster, &options).await?;
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
    options: &Options,
) -> Result<Duration, Failure> {
    let first = surroundings.watch(&options.routes[0], 1).await?;
    let relay = RelayProcess::start(&surroundings.addresses, configuration, cluster, options)?;
    let seen = first.all_seen().await.map_err(|error| relay.explain(&error))?;
    let taken = seen.at.saturating_duration_since(relay.started);
    relay.stop().await?;
    Ok(taken)
}
