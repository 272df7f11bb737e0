//! Which events a command is about.

use std::time::Duration;

use aqueduct_projection::parked::ParkedFilter;
use aqueduct_relay::parked::ParkedFilter as RelayFilter;
use jiff::Timestamp;

use crate::failure::Failure;

/// Events are selected that match all of these.
#[derive(clap::Args)]
pub(in crate::commands) struct EventFilter {
    /// Events that this route of the relay did not relay
    #[arg(long, value_name = "NAME", conflicts_with_all = ["projection", "topic"])]
    pub(super) route: Option<String>,
    /// Events of this projection or reactor
    #[arg(long, value_name = "NAME")]
    projection: Option<String>,
    /// Events of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Events of this stream
    #[arg(long)]
    stream: Option<String>,
    /// Events of this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Events parked for this reason; projections: headers, source, unknown_type, payload, panic, row, reaction, gap,
    /// blocked; relay: unmapped_type, metadata, versions_differ, not_json, unknown_type, unknown_version, payload,
    /// upcast, too_large, blocked, requested
    #[arg(long)]
    code: Option<String>,
    /// Events parked at least this long ago, for example 30m or 48h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration =
        text.parse().map_err(|_| "write a time such as 90s, 30m or 48h".to_owned())?;
    time.try_into().map_err(|_| "it must not be negative".to_owned())
}

impl EventFilter {
    /// Whether it names events of projections only.
    pub(super) fn names_projections(&self) -> bool {
        self.projection.is_some() || self.topic.is_some()
    }

    /// What it selects of the events of projections.
    pub(super) fn for_projections(&self) -> Result<ParkedFilter, Failure> {
        Ok(ParkedFilter {
            projection: self.projection.clone(),
            topic: self.topic.clone(),
            stream: self.stream.clone(),
            revision: self.revision,
            code: self.code.as_ref().map(|code| code.parse()).transpose()?,
            older_than: self.older_than,
        })
    }

    /// What it selects of the events of a route.
    pub(super) fn for_relay(&self) -> Result<RelayFilter, Failure> {
        if self.names_projections() {
            return Err(
                "--route selects events of the relay, --projection and --topic those of projections".into()
            );
        }
        let older_than =
            self.older_than.map(|age| Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN));
        Ok(RelayFilter {
            stream: self.stream.clone(),
            revision: self.revision,
            code: self.code.as_ref().map(|code| code.parse()).transpose()?,
            older_than,
        })
    }

    /// As [`for_projections`](Self::for_projections), for a command that changes something: all events are selected
    /// only with `--all`.
    pub(super) fn projection_filter(&self, all: bool) -> Result<ParkedFilter, Failure> {
        let selection = self.for_projections()?;
        expect_choice(selection == ParkedFilter::default(), all)?;
        Ok(selection)
    }

    /// As [`for_relay`](Self::for_relay), for a command that changes something: all events are selected only with
    /// `--all`.
    pub(super) fn relay_filter(&self, all: bool) -> Result<RelayFilter, Failure> {
        let selection = self.for_relay()?;
        expect_choice(selection == RelayFilter::default(), all)?;
        Ok(selection)
    }
}

fn expect_choice(selects_all: bool, all: bool) -> Result<(), Failure> {
    match (selects_all, all) {
        (true, false) => Err("select events, for example with --stream, or all of them with --all".into()),
        (false, true) => Err("--all and a selection exclude each other".into()),
        (true, true) | (false, false) => Ok(()),
    }
}
