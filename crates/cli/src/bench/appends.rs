//! Sequential appends: the adapter against the unmodified client.

use aqueduct_devstore::Options as ServerOptions;
use aqueduct_eventstore::bench::{Plan, appends_one_by_one};
use aqueduct_eventstore::{EventStoreDb, Options};
use aqueduct_service::http;

use super::comparison::{Comparison, Round, Side};
use super::measured::Measured;
use crate::Failure;

pub(super) async fn measure(rounds: usize) -> Result<Comparison, Failure> {
    // Two servers: the adapter's cure works on all of the process's sockets to its server.
    let (for_adapter, for_client) = (server().await?, server().await?);
    let store = EventStoreDb::new(Options::new(for_adapter.connection_string()))?;
    let plan = Plan { rounds, ..Plan::default() };
    eprintln!("appends: {rounds} rounds");
    let rounds = appends_one_by_one(&store, &for_client.connection_string(), plan).await?;
    let Plan { adapter_appends, unmodified_appends, .. } = plan;
    Ok(Comparison {
        name: "appends",
        work:
            "one event of about 300 bytes, one append after the other, each to an event store in memory in \
               this process that leaves TCP_NODELAY off, as the real server does. Not charged: connecting."
                .to_owned(),
        product: Side {
            name: "adapter",
            includes: format!("{adapter_appends} appends a round; TCP_NODELAY is set on the client's side"),
        },
        baselines: vec![Side {
            name: "client",
            includes: format!("{unmodified_appends} appends a round through the `eventstore` crate as it is"),
        }],
        rounds: rounds
            .iter()
            .map(|round| Round {
                product: at_rate(adapter_appends, round.adapter),
                baselines: vec![at_rate(unmodified_appends, round.unmodified)],
            })
            .collect(),
    })
}

/// The adapter's crate measures both sides and reports rates only, so the CPU time is unknown.
fn at_rate(appends: usize, rate: f64) -> Measured {
    let seconds = appends as f64 / rate;
    Measured { events: appends, seconds, process_cpu_seconds: None, server_cpu_seconds: None }
}

async fn server() -> Result<aqueduct_devstore::Handle, Failure> {
    let options = ServerOptions { nodelay: false, ..ServerOptions::in_memory() };
    let listener = http::bind(([127, 0, 0, 1], 0).into()).await?;
    Ok(aqueduct_devstore::start(options, listener, std::future::pending()).await?)
}
