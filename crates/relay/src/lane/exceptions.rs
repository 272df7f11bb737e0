//! A lane's exceptions, in memory.

use std::collections::BTreeMap;

use aqueduct_core::{Revision, StreamName};
use sha2::{Digest as _, Sha256};

use crate::record::code::Code;
use crate::record::exception::{ExceptionCounts, ExceptionState, LastRelayed};
use crate::record::reference::EventReference;

/// The exceptions of a lane, as far as its work needs them: a million take less than 64 MiB, whatever their streams
/// are called. It holds what will be in the topics once the batches prepared so far are committed.
///
/// Streams are told apart by 128 bits of their SHA-256: that two of a trillion streams meet is less likely than
/// 1 in 10^14.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    by_key: BTreeMap<Key, Packed>,
    counts: ExceptionCounts,
}

/// What the lane remembers of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) state: ExceptionState,
    pub(crate) code: Code,
    pub(crate) last: LastRelayed,
}

/// Parked events of a stream are neighbours, so that the first is found without a second index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: [u64; 2],
    // The order of the fields matters: parked events come first.
    place: Place,
}

/// Whether the event is parked, in the highest bit (0 if it is), and its revision, which the store keeps below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

const NOT_PARKED: u64 = 1 << 63;

impl Place {
    fn new(parked: bool, revision: Revision) -> Self {
        Self(revision & !NOT_PARKED | if parked { 0 } else { NOT_PARKED })
    }

    fn revision(self) -> Revision {
        self.0 & !NOT_PARKED
    }

    fn is_parked(self) -> bool {
        self.0 & NOT_PARKED == 0
    }
}

/// State (2 bits), code (4 bits), and the last relayed revision (58 bits: 0 unknown, 1 none, else the revision
/// plus 2; a larger one is unknown).
#[derive(Debug, Clone, Copy)]
struct Packed(u64);

const LAST_BITS: u32 = 58;

impl Packed {
    fn new(it: Remembered) -> Self {
        let state = match it.state {
            ExceptionState::Parked => 0_u64,
            ExceptionState::Skipped => 1,
            ExceptionState::Discarded => 2,
        };
        let last = match it.last {
            LastRelayed::Unknown => 0,
            LastRelayed::None => 1,
            LastRelayed::Revision(revision) => {
                revision.checked_add(2).filter(|it| it >> LAST_BITS == 0).unwrap_or(0)
            }
        };
        Self(state << 62 | (it.code as u64) << LAST_BITS | last)
    }

    fn unpack(self) -> Remembered {
        let state = match self.0 >> 62 {
            0 => ExceptionState::Parked,
            1 => ExceptionState::Skipped,
            _ => ExceptionState::Discarded,
        };
        let code = Code::ALL[(self.0 >> LAST_BITS & 0xf) as usize];
        let last = match self.0 & ((1 << LAST_BITS) - 1) {
            0 => LastRelayed::Unknown,
            1 => LastRelayed::None,
            revision => LastRelayed::Revision(revision - 2),
        };
        Remembered { state, code, last }
    }
}

fn hash(stream: &StreamName) -> [u64; 2] {
    let digest = Sha256::digest(stream.as_str().as_bytes());
    let half = |from: usize| (from..from + 8).fold(0, |bits, n| bits << 8 | u64::from(digest[n]));
    [half(0), half(8)]
}

impl Exceptions {
    /// Records what became of an event, in place of what was recorded before.
    pub(crate) fn insert(&mut self, event: &EventReference, exception: Remembered) {
        let stream = hash(&event.stream);
        self.take(stream, event.revision);
        let parked = exception.state == ExceptionState::Parked;
        let key = Key { stream, place: Place::new(parked, event.revision) };
        self.by_key.insert(key, Packed::new(exception));
        *self.counts.of(exception.state) += 1;
    }

    /// The event has become a record.
    pub(crate) fn remove(&mut self, event: &EventReference) {
        if !self.by_key.is_empty() {
            self.take(hash(&event.stream), event.revision);
        }
    }

    fn take(&mut self, stream: [u64; 2], revision: Revision) {
        let of = |parked| Key { stream, place: Place::new(parked, revision) };
        let taken = self.by_key.remove(&of(true)).or_else(|| self.by_key.remove(&of(false)));
        if let Some(taken) = taken {
            *self.counts.of(taken.unpack().state) -= 1;
        }
    }

    /// What is recorded of an event.
    pub(crate) fn get(&self, stream: &StreamName, revision: Revision) -> Option<Remembered> {
        if self.by_key.is_empty() {
            return None;
        }
        let stream = hash(stream);
        let of = |parked| Key { stream, place: Place::new(parked, revision) };
        let found = self.by_key.get(&of(true)).or_else(|| self.by_key.get(&of(false)));
        found.map(|it| it.unpack())
    }

    /// The stream's first parked event. A stream that has one is blocked: its later events are parked behind it.
    pub(crate) fn first_parked(&self, stream: &StreamName) -> Option<(Revision, Remembered)> {
        if self.counts.parked == 0 {
            return None;
        }
        let stream = hash(stream);
        let from = Key { stream, place: Place::new(true, 0) };
        let to = Key { stream, place: Place::new(false, 0) };
        let (key, packed) = self.by_key.range(from..to).next()?;
        Some((key.place.revision(), packed.unpack()))
    }

    /// Whether the first parked event of any stream has the code `blocked`: what was before it was replayed or
    /// discarded, and it was not. Goes through all exceptions.
    pub(crate) fn has_cut_off_stream(&self) -> bool {
        let mut stream = None;
        self.by_key.iter().any(|(key, packed)| {
            let is_first = stream.replace(key.stream) != Some(key.stream);
            is_first && key.place.is_parked() && packed.unpack().code == Code::Blocked
        })
    }

    /// Whether the stream's next events must be parked.
    pub(crate) fn is_blocked(&self, stream: &StreamName) -> bool {
        self.first_parked(stream).is_some()
    }

    pub(crate) fn counts(&self) -> ExceptionCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn reference(stream: &str, revision: Revision) -> EventReference {
        EventReference { stream: stream.into(), revision }
    }

    fn state() -> impl Strategy<Value = ExceptionState> {
        prop::sample::select(vec![ExceptionState::Parked, ExceptionState::Skipped, ExceptionState::Discarded])
    }

    fn remembered() -> impl Strategy<Value = Remembered> {
        let last = prop_oneof![
            Just(LastRelayed::Unknown),
            Just(LastRelayed::None),
            (0_u64..1 << 57).prop_map(LastRelayed::Revision),
        ];
        (state(), prop::sample::select(Code::ALL.to_vec()), last).prop_map(|(state, code, last)| Remembered {
            state,
            code,
            last,
        })
    }

    fn operations() -> impl Strategy<Value = Vec<(u8, Revision, Option<Remembered>)>> {
        let revision = prop_oneof![4 => 0_u64..6, 1 => (1_u64 << 63) - 2..1 << 63];
        prop::collection::vec((0_u8..3, revision, prop::option::weighted(0.7, remembered())), 0..60)
    }

    #[test]
    fn a_stream_is_cut_off_where_its_first_parked_event_was_parked_behind_another() {
        let mut exceptions = Exceptions::default();
        let mut insert = |revision, state, code| {
            let last = LastRelayed::Unknown;
            exceptions.insert(&reference("a-1", revision), Remembered { state, code, last });
            exceptions.has_cut_off_stream()
        };
        assert!(!insert(3, ExceptionState::Parked, Code::Payload));
        assert!(!insert(4, ExceptionState::Parked, Code::Blocked));
        assert!(insert(3, ExceptionState::Discarded, Code::Requested));
        assert!(!insert(4, ExceptionState::Parked, Code::Payload), "it was replayed and failed");
        assert!(!insert(4, ExceptionState::Skipped, Code::Blocked));
    }

    proptest! {
        #[test]
        fn it_answers_as_a_plain_map(operations in operations()) {
            let mut exceptions = Exceptions::default();
            let mut model: HashMap<(u8, Revision), Remembered> = HashMap::new();
            for (stream, revision, exception) in operations {
                let event = reference(&format!("s-{stream}"), revision);
                match exception {
                    Some(exception) => {
                        exceptions.insert(&event, exception);
                        model.insert((stream, revision), exception);
                    }
                    None => {
                        exceptions.remove(&event);
                        model.remove(&(stream, revision));
                    }
                }
                for stream in 0..3 {
                    let name: StreamName = format!("s-{stream}").as_str().into();
                    let parked = model
                        .iter()
                        .filter(|((of, _), it)| *of == stream && it.state == ExceptionState::Parked)
                        .map(|((_, revision), it)| (*revision, *it));
                    let first = parked.min_by_key(|(revision, _)| *revision);
                    prop_assert_eq!(exceptions.first_parked(&name), first);
                    prop_assert_eq!(exceptions.is_blocked(&name), first.is_some());
                    prop_assert_eq!(exceptions.get(&name, revision), model.get(&(stream, revision)).copied());
                }
                let count = |state| model.values().filter(|it| it.state == state).count() as u64;
                let counts = ExceptionCounts {
                    parked: count(ExceptionState::Parked),
                    skipped: count(ExceptionState::Skipped),
                    discarded: count(ExceptionState::Discarded),
                };
                prop_assert_eq!(exceptions.counts(), counts);
            }
        }
    }

    /// Counts what a thread has allocated.
    struct Counting;

    thread_local! {
        static ALLOCATED: Cell<isize> = const { Cell::new(0) };
    }

    fn count(bytes: isize) {
        // A thread that ends may free after its counter is gone.
        let _ended = ALLOCATED.try_with(|it| it.set(it.get() + bytes));
    }

    // SAFETY: every call is passed on to the system's allocator.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size() as isize);
            // SAFETY: the caller's contract is this one's.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            count(-(layout.size() as isize));
            // SAFETY: the caller's contract is this one's.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;

    /// Memory grows in proportion, and a million take a minute where nothing is optimised.
    const PART: usize = 10;

    fn bytes_of(events: impl Iterator<Item = EventReference>) -> isize {
        let before = ALLOCATED.get();
        let mut exceptions = Exceptions::default();
        let exception = Remembered {
            state: ExceptionState::Parked,
            code: Code::Payload,
            last: LastRelayed::Revision(1 << 40),
        };
        for event in events {
            exceptions.insert(&event, exception);
        }
        assert_eq!(exceptions.counts().parked, 1_000_000 / PART as u64);
        ALLOCATED.get() - before
    }

    #[test]
    fn a_million_exceptions_take_less_than_64_mib() {
        let (count, limit) = (1_000_000 / PART, (64 << 20) / PART as isize);
        let streams = bytes_of((0..count).map(|n| reference(&format!("order-{n}"), 7)));
        assert!(streams < limit, "each in its own stream: {streams} bytes");
        let one_stream = bytes_of((0..count as u64).map(|n| reference("order-1", n)));
        assert!(one_stream < limit, "one stream's, in order: {one_stream} bytes");
    }
}
