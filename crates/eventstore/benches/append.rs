//! Appends one after the other, through the adapter and through the unmodified `eventstore` client, in turn,
//! each against a devstore of its own in memory that does not set TCP_NODELAY.

use std::error::Error;

use aqueduct_devstore::Options as ServerOptions;
use aqueduct_eventstore::bench::{Plan, appends_one_by_one};
use aqueduct_eventstore::{EventStoreDb, Options};
use tokio::net::TcpListener;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut urls = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let options = ServerOptions { nodelay: false, ..ServerOptions::in_memory() };
        let server = aqueduct_devstore::start(options, listener, std::future::pending()).await?;
        urls.push(server.connection_string());
    }
    let store = EventStoreDb::new(Options::new(urls.swap_remove(0)))?;
    let rounds = appends_one_by_one(&store, &urls[0], Plan::default()).await?;
    let mut ratios = Vec::new();
    for round in &rounds {
        println!(
            "adapter {:>8.0}/s   unmodified {:>6.1}/s   ratio {:>6.0}",
            round.adapter,
            round.unmodified,
            round.ratio()
        );
        ratios.push(round.ratio());
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.0}", ratios[ratios.len() / 2]);
    Ok(())
}
