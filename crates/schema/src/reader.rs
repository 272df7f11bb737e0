//! The schema that a reader was written for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::layout::types::Names;
use crate::load::compile::Origin;
use crate::load::registered::RegisteredSchema;
use crate::mapping::decode;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;
use crate::place::JsonPlace;
use crate::registry::{DecodeError, RecordValue};
use crate::resolved::Resolved;

/// The schema that a reader was written for. Values of other schemas of the type are resolved to it as Avro does. Every value of the
/// writer's schema must be readable, and must not become one that means something else: another unit or scale, for example.
#[derive(Debug)]
pub struct ReaderSchema {
    schema: RegisteredSchema,
    /// How the values of other schemas become those of this one, by the other's id.
    resolutions: RwLock<HashMap<u32, Arc<Resolution>>>,
}

#[derive(Debug)]
enum Resolution {
    /// It is the same schema.
    Same,
    Other(Resolved),
}

/// A value that cannot be read as one of a [`ReaderSchema`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No value of the writer's schema can be relied on to fit.
    #[error("the writer's schema (id {id}) does not resolve to it: {problem}")]
    Unresolvable {
        /// The id in the record.
        id: u32,
        /// Where the schemas differ, and how.
        problem: String,
    },
    /// This value cannot be read.
    #[error(transparent)]
    Value(#[from] DecodeError),
}

impl ReaderSchema {
    /// Compiles the text of an Avro schema. An error says why it cannot be used.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { schema: RegisteredSchema::parse(text, Origin::Reader)?, resolutions: RwLock::default() })
    }

    /// The event as a whole.
    pub fn event(&self) -> JsonPlace<'_> {
        JsonPlace::event(&self.schema.layout)
    }

    /// Plain JSON of this schema in its canonical form. An error says where it does not fit.
    pub fn canonical(&self, json: &Value) -> Result<Value, String> {
        let layout = &self.schema.layout;
        let encoded =
            encode(layout, &Json::from(json), Names::Avro).map_err(|mismatch| mismatch.to_string())?;
        decode::decode(layout, &encoded.avro, Names::Avro).map_err(|mismatch| mismatch.to_string())
    }

    /// Reads the value into what `seed` makes of it in the plain mapping of this schema, in canonical form. As in
    /// [`RecordValue::read`], what it passes over need not be decoded.
    pub fn read<'a, S: DeserializeSeed<'a>>(
        &self,
        value: &RecordValue<'a>,
        seed: S,
    ) -> Result<S::Value, ReadError> {
        let resolution = self.resolution(value)?;
        let Resolution::Other(resolved) = &*resolution else { return Ok(value.read(seed)?) };
        let json = resolved.to_json(&self.schema, value.avro);
        let read = json.and_then(|json| seed.deserialize(json).map_err(|error| error.to_string()));
        read.map_err(|problem| {
            let problem = format!("resolved to the reader's schema: {problem}");
            DecodeError::Payload { id: value.id, problem }.into()
        })
    }

    fn resolution(&self, value: &RecordValue<'_>) -> Result<Arc<Resolution>, ReadError> {
        let known = self.resolutions.read().unwrap_or_else(PoisonError::into_inner).get(&value.id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let resolution = if value.schema.json == self.schema.json {
            Resolution::Same
        } else {
            let resolved = Resolved::new(&value.schema.avro, &self.schema.avro);
            let resolved = resolved.map_err(|problem| ReadError::Unresolvable { id: value.id, problem })?;
            Resolution::Other(resolved)
        };
        let resolution = Arc::new(resolution);
        let mut resolutions = self.resolutions.write().unwrap_or_else(PoisonError::into_inner);
        resolutions.insert(value.id, Arc::clone(&resolution));
        Ok(resolution)
    }
}
