//! A store that other programs filled: the events of a Node, a .NET and a Java service and of some sensors,
//! made up from a seed. Equal seeds make equal histories, byte for byte.
//!
//! There are twelve event types in the stored forms that such services leave behind: no metadata, or metadata
//! of their own; versions in the type, in the metadata, in the data or nowhere; CLR and Java class names as
//! types; camelCase and PascalCase; money as number and as text; fields that are missing, null or additional;
//! data that is not a JSON object. [`Quality`] says of each event what a relay must make of it.

mod dotnet;
mod java;
mod node;
mod random;
mod sensor;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use random::Random;

/// Streams of each kind that grow at the same time.
const GROWING: usize = 40;

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEvent {
    /// The stream.
    pub stream: String,
    /// Its place in the stream, from 0.
    pub revision: u64,
    /// Event id, a UUID.
    pub id: String,
    /// Event type as stored.
    pub event_type: String,
    /// `application/json` or `application/octet-stream`, as declared by the writer.
    pub content_type: &'static str,
    /// The data.
    pub data: Vec<u8>,
    /// The metadata.
    pub metadata: Vec<u8>,
    /// What it is worth.
    pub quality: Quality,
}

/// What a relay must make of an event, once types and fields are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// It becomes a record.
    Good,
    /// Its data is not a JSON object: it can never be a record.
    NotAnObject,
    /// One field has a JSON kind that no other event of the type has there: dirt, which is parked.
    Conflicting,
}

impl ForeignEvent {
    /// `7@order-42`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.revision, self.stream)
    }

    /// The event as a line of JSON, as `tests/data/histories` has them: for a program in another language that
    /// appends it.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            stream: &'a str,
            revision: u64,
            id: &'a str,
            r#type: &'a str,
            content_type: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            data_base64: Option<String>,
            metadata: String,
        }
        let data = std::str::from_utf8(&self.data).ok();
        serde_json::to_string(&Line {
            stream: &self.stream,
            revision: self.revision,
            id: &self.id,
            r#type: &self.event_type,
            content_type: self.content_type,
            data,
            data_base64: data.is_none().then(|| STANDARD.encode(&self.data)),
            metadata: String::from_utf8_lossy(&self.metadata).into_owned(),
        })
    }
}

/// What a service writes next to one of its streams.
struct Written {
    event_type: String,
    data: Vec<u8>,
    metadata: Vec<u8>,
    content_type: &'static str,
    quality: Quality,
    /// The stream ends with it.
    is_last: bool,
}

impl Written {
    fn json(event_type: impl Into<String>, data: String, metadata: String) -> Self {
        Self {
            event_type: event_type.into(),
            data: data.into(),
            metadata: metadata.into(),
            content_type: "application/json",
            quality: Quality::Good,
            is_last: false,
        }
    }

    fn last(self) -> Self {
        Self { is_last: true, ..self }
    }
}

/// The kinds of streams, with the share of the events they get.
const KINDS: [(Kind, usize); 5] =
    [(Kind::Product, 30), (Kind::Review, 15), (Kind::Invoice, 30), (Kind::Shipment, 24), (Kind::Sensor, 1)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Product,
    Review,
    Invoice,
    Shipment,
    Sensor,
}

impl Kind {
    fn new_stream(self, random: &mut Random) -> String {
        match self {
            Self::Product => format!("product-{}", random.uuid()),
            Self::Review => format!("review-R-{}", random.below(1_000_000)),
            Self::Invoice => format!("Invoice-{}", random.uuid()),
            Self::Shipment => format!("shipment-NO{:09}", random.below(1_000_000_000)),
            Self::Sensor => format!("sensor-{}", random.below(1_000_000)),
        }
    }

    fn write(self, random: &mut Random, revision: u64) -> Written {
        match self {
            Self::Product => node::product(random, revision),
            Self::Review => node::review(random),
            Self::Invoice => dotnet::invoice(random, revision),
            Self::Shipment => java::shipment(random, revision),
            Self::Sensor => sensor::reading(random),
        }
    }
}

/// A stream that grows.
struct Growing {
    name: String,
    next: u64,
}

/// The events of a history, in the order of `$all`. Never ends; take as many as wanted.
pub struct History {
    random: Random,
    growing: HashMap<Kind, Vec<Growing>>,
    used: std::collections::HashSet<String>,
    written: HashMap<String, u64>,
}

/// The history of a seed.
pub fn history(seed: u64) -> History {
    History {
        random: Random::new(seed),
        growing: HashMap::new(),
        used: std::collections::HashSet::new(),
        written: HashMap::new(),
    }
}

impl History {
    fn kind(&mut self) -> Kind {
        let mut place = self.random.below(100) as usize;
        for (kind, share) in KINDS {
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => return kind,
            }
        }
        Kind::Product
    }

    fn stream(&mut self, kind: Kind) -> usize {
        let growing = self.growing.entry(kind).or_default();
        if growing.len() < GROWING {
            let name = loop {
                let name = kind.new_stream(&mut self.random);
                if self.used.insert(name.clone()) {
                    break name;
                }
            };
            growing.push(Growing { name, next: 0 });
            return growing.len() - 1;
        }
        self.random.below(GROWING as u64) as usize
    }

    /// Three events of the payments have text in a field in which all others have an object.
    fn spoil(&mut self, written: &mut Written) {
        const SPOILED: [u64; 3] = [700, 1_500, 1_600];
        let count = self.written.entry(written.event_type.clone()).or_default();
        *count += 1;
        if written.event_type == "V1.InvoicePaid" && SPOILED.contains(count) {
            let data = String::from_utf8_lossy(&written.data);
            if let Some((before, _)) = data.split_once(r#""payer":{"#) {
                written.data = format!(r#"{before}"payer":"see attachment"}}"#).into_bytes();
                written.quality = Quality::Conflicting;
            }
        }
    }
}

impl Iterator for History {
    type Item = ForeignEvent;

    fn next(&mut self) -> Option<ForeignEvent> {
        let kind = self.kind();
        let place = self.stream(kind);
        let growing = self.growing.get_mut(&kind)?;
        let stream = &mut growing[place];
        let (name, revision) = (stream.name.clone(), stream.next);
        stream.next += 1;
        let mut written = kind.write(&mut self.random, revision);
        if written.is_last {
            growing.swap_remove(place);
        }
        self.random.pass_time();
        self.spoil(&mut written);
        let Written { event_type, data, metadata, content_type, quality, .. } = written;
        let id = self.random.uuid();
        Some(ForeignEvent { stream: name, revision, id, event_type, content_type, data, metadata, quality })
    }
}

#[cfg(test)]
mod tests;
