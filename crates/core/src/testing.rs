//! Tests without I/O. Of aggregates: given these events, when this command comes, then those events. Of what
//! uses an event store: a [`ScriptedStore`] fails where the test wants it to.
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
use crate::Aggregate;

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
    /// Sends a command. Its events are applied, so that [`Outcome::state`] shows what comes of it.
    pub fn when(mut self, command: A::Command) -> Outcome<A> {
        let answer = self.state.handle(&command);
        for event in answer.iter().flatten() {
            self.state.apply(event);
        }
        Outcome { state: self.state, answer }
    }

    /// The state after the history, for a snapshot.
    pub fn state(&self) -> &A {
        &self.state
    }
}

/// What a command led to.
#[derive(Debug)]
pub struct Outcome<A: Aggregate> {
    state: A,
    answer: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> Outcome<A>
where
    A::Event: Debug + PartialEq,
{
    /// Panics unless exactly these uncommitted events came of the command.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.answer {
            Ok(events) => assert_eq!(*events, expected, "the events that came of the command"),
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
        match &self.answer {
            Err(error) => assert_eq!(error, expected, "the reason of the refusal"),
            Ok(events) => panic!("expected the refusal \"{expected}\", but there came {events:?}"),
        }
        self
    }

    /// The state after the command, for a snapshot.
    pub fn state(&self) -> &A {
        &self.state
    }
}
