//! The memory of a relay process: a long history against a short one, and a restart in the middle of the long one.

use std::num::{NonZeroU32, NonZeroUsize};

use aqueduct::Configuration;
use aqueduct_core::{CommandId, EventStore, ExpectedRevision, NewEvent, RecordedEvent};
use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_eventstore::EventStoreDb;
use aqueduct_relay::Options;
use futures::future::try_join_all;

use super::growth::History;
use super::relay_process::RelayProcess;
use super::relayed::Surroundings;
use super::report::Peak;
use crate::Failure;
use crate::configuration::Addresses;

/// Lanes of the routes that are measured.
const LANES: [NonZeroU32; 2] = [NonZeroU32::MIN, NonZeroU32::MIN.saturating_add(3)];

/// Streams that the restarted relay remembers: a hundredth of those of the long history, which come in turn. So it asks the
/// store for the previous revision of every event that is not its stream's first.
const SMALL_CACHE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

/// Appends that are under way at once, when a history is made.
const CONCURRENT: usize = 64;

/// `shop` are events of the shop.
pub(super) async fn measure(
    surroundings: &Surroundings,
    configuration: &Configuration,
    shop: &[RecordedEvent],
) -> Result<Vec<Peak>, Failure> {
    let mut peaks = Vec::new();
    for history in [History::Short, History::Long] {
        eprintln!("growth: appending {}", history.describe());
        let options = StackOptions { event_store: Part::start(), ..StackOptions::none() };
        let stack = DevStack::start(options).await?;
        let url = stack.event_store_url()?.to_owned();
        append(history, shop, &EventStoreDb::new(aqueduct_eventstore::Options::new(&url))?).await?;
        let addresses = Addresses { eventstore: url, ..surroundings.addresses.clone() };
        let processes = Processes { surroundings, configuration, addresses, history };
        for lanes in LANES {
            peaks.push(processes.uninterrupted(lanes).await?);
            if history == History::Long {
                peaks.push(processes.restarted(lanes).await?);
            }
        }
        stack.shutdown().await;
    }
    Ok(peaks)
}

/// Appends inventory's events of the shop, again and again, to each stream in turn.
async fn append(history: History, shop: &[RecordedEvent], to: &dyn EventStore) -> Result<(), Failure> {
    let shop: Vec<_> = shop.iter().filter(|it| it.stream.category() == "inventory").collect();
    try_join_all((0..CONCURRENT).map(|part| {
        let mut events = shop.iter().cycle().skip(part);
        async move {
            for _ in 0..history.events() / history.streams() {
                for stream in (part..history.streams()).step_by(CONCURRENT) {
                    let Some(event) = events.next() else { return Err("the shop has no inventory".into()) };
                    let (event_type, data, metadata) =
                        (event.event_type.clone(), event.data.clone(), event.metadata.clone());
                    let new = NewEvent { id: CommandId::random().as_uuid(), event_type, data, metadata };
                    let stream = format!("inventory-{stream}").as_str().into();
                    to.append(&stream, ExpectedRevision::Any, &[new]).await?;
                }
            }
            Ok::<_, Failure>(())
        }
    }))
    .await?;
    Ok(())
}

struct Processes<'a> {
    surroundings: &'a Surroundings,
    configuration: &'a Configuration,
    addresses: Addresses,
    history: History,
}

impl Processes<'_> {
    /// A process that relays all.
    async fn uninterrupted(&self, lanes: NonZeroU32) -> Result<Peak, Failure> {
        let (history, events) = (self.history, self.history.events());
        let name = format!("{}, lanes: {lanes}", history.describe());
        eprintln!("growth: {name}");
        let topic = format!("bench-peak-{events}-{lanes}");
        let (cluster, options, route) = self.surroundings.new_route(&topic, lanes).await?;
        let all = self.surroundings.watch(&route, events).await?;
        let relay = RelayProcess::start(&self.addresses, self.configuration, &cluster, &options)?;
        let seen = all.all_seen().await.map_err(|error| relay.explain(&error))?;
        let seconds = seen.at.saturating_duration_since(relay.started).as_secs_f64();
        ended(relay, Peak { name, events, seconds, mib: None }).await
    }

    /// A process with a small cache that relays the second half, after one that was killed.
    async fn restarted(&self, lanes: NonZeroU32) -> Result<Peak, Failure> {
        let (history, half) = (self.history, self.history.events() / 2);
        let name = format!(
            "the second half of {} after a kill, remembering {SMALL_CACHE} streams, lanes: {lanes}",
            history.describe()
        );
        eprintln!("growth: {name}");
        let topic = format!("bench-restart-{lanes}");
        let (cluster, options, route) = self.surroundings.new_route(&topic, lanes).await?;
        let first_half = self.surroundings.watch(&route, half).await?;
        let all = self.surroundings.watch(&route, history.events()).await?;
        let relay = RelayProcess::start(&self.addresses, self.configuration, &cluster, &options)?;
        first_half.all_seen().await.map_err(|error| relay.explain(&error))?;
        relay.kill().await?;

        let options = Options { known_streams: SMALL_CACHE, ..options };
        let relay = RelayProcess::start(&self.addresses, self.configuration, &cluster, &options)?;
        let seen = all.all_seen().await.map_err(|error| relay.explain(&error))?;
        let seconds = seen.at.saturating_duration_since(relay.started).as_secs_f64();
        ended(relay, Peak { name, events: half, seconds, mib: None }).await
    }
}

/// Stops a relay that has relayed all, and adds its peak memory.
async fn ended(relay: RelayProcess, peak: Peak) -> Result<Peak, Failure> {
    let peak = Peak { mib: relay.peak_memory(), ..peak };
    relay.stop().await?;
    eprintln!("growth: {:.1} s, peak {:.0} MiB", peak.seconds, peak.mib.unwrap_or_default());
    Ok(peak)
}
