//! A counter as an aggregate, and what the tests share.

use std::time::Duration;

use aqueduct_core::{
    Aggregate, CommandId, CommandRequest, EventStore, PlainCodec, Repository, RepositoryOptions, domain_event,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) by: u32,
}

domain_event! { pub(crate) enum CounterEvent { Counted } }

#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) total: u32,
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Count(u32),
    CountTo(u32),
    Nothing,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("already at {0}")]
pub(crate) struct Beyond(pub(crate) u32);

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = Command;
    type Event = CounterEvent;
    type Error = Beyond;

    fn handle(&self, command: &Command) -> Result<Vec<CounterEvent>, Beyond> {
        match *command {
            Command::Count(by) => Ok(vec![Counted { by }.into()]),
            Command::CountTo(to) if to < self.total => Err(Beyond(self.total)),
            Command::CountTo(to) => Ok((self.total..to).map(|_| Counted { by: 1 }.into()).collect()),
            Command::Nothing => Ok(vec![]),
        }
    }

    fn apply(&mut self, CounterEvent::Counted(event): &CounterEvent) {
        self.total += event.by;
    }
}

pub(crate) type Counters<S> = Repository<Counter, S, PlainCodec>;

pub(crate) fn options() -> RepositoryOptions {
    RepositoryOptions { first_delay: Duration::from_micros(10), ..RepositoryOptions::default() }
}

pub(crate) fn counters<S: EventStore>(store: S) -> Counters<S> {
    Repository::with_options(store, PlainCodec, options())
}

pub(crate) fn request(command: Command) -> CommandRequest<Command> {
    CommandRequest::new(CommandId::random(), command)
}

pub(crate) async fn total<S: EventStore>(counters: &Counters<S>) -> u32 {
    counters.inspect("1", |counter| counter.total).await.unwrap()
}
