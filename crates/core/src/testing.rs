//! Tests without I/O: given/when/then for aggregates, and a [`ScriptedStore`] that fails on demand for code that
//! uses an event store.
//!
//! ```
//! # use aqueduct_core::{Aggregate, domain_event, testing::given};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] pub struct Opened {}
//! # domain_event! { pub enum DoorEvent { Opened } }
//! # #[derive(Debug, Default, PartialEq)] struct Door { open: bool }
//! # #[derive(Debug)] struct Open;
//! # #[derive(Debug, PartialEq, thiserror::Error)] #[error("open already")] struct OpenAlready;
//! # impl Aggregate for Door {
//! #     const TYPE: &'static str = "door";
//! #     type Command = Open; type Event = DoorEvent; type Error = OpenAlready;
//! #     fn handle(&self, _: &Open) -> Result<Vec<DoorEvent>, OpenAlready> {
//! #         if self.open { Err(OpenAlready) } else { Ok(vec![Opened {}.into()]) }
//! #     }
//! #     fn apply(&mut self, _: &DoorEvent) { self.open = true; }
//! # }
//! given::<Door>([]).when(Open).then([Opened {}.into()]);
//! given::<Door>([Opened {}.into()]).when(Open).then_error(&OpenAlready);
//! ```

mod scripted;

use std::fmt::Debug;

pub use self::scripted::{Call, ScriptedStore};
use crate::aggregate::Aggregate;

/// An aggregate with a history.
pub fn given<A: Aggregate>(history: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in history {
        state.apply(&event);
    }
    Given { state }
}

/// See [`given`].
#[derive(Debug)]
pub struct Given<A> {
    state: A,
}

impl<A: Aggregate> Given<A> {
    /// Sends a command and applies its events, so that [`Outcome::state`] shows the result.
    pub fn when(mut self, command: A::Command) -> Outcome<A> {
        let result = self.state.handle(&command);
        for event in result.iter().flatten() {
            self.state.apply(event);
        }
        Outcome { state: self.state, result }
    }

    /// The state after the history, for a snapshot.
    pub fn state(&self) -> &A {
        &self.state
    }
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Outcome<A: Aggregate> {
    state: A,
    result: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> Outcome<A>
where
    A::Event: Debug + PartialEq,
{
    /// Panics unless the command led to exactly these events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.result {
            Ok(events) => assert_eq!(*events, expected, "the events of the command"),
            Err(error) => panic!("expected {expected:?}, but the command was refused: {error}"),
        }
        self
    }

    /// Panics unless the command was refused for this reason.
    #[track_caller]
    pub fn then_error(self, expected: &A::Error) -> Self
    where
        A::Error: PartialEq,
    {
        match &self.result {
            Err(error) => assert_eq!(error, expected, "the reason for the refusal"),
            Ok(events) => panic!("expected the refusal \"{expected}\", but the command led to {events:?}"),
        }
        self
    }

    /// The state after the command, for a snapshot.
    pub fn state(&self) -> &A {
        &self.state
    }
}
