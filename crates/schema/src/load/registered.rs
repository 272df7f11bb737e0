//! Schemas as a registry has them.

use apache_avro::schema::Schema;
use serde_json::Value;

use crate::layout::types::Layout;
use crate::load::attributes;
use crate::load::compile::compile;

/// A schema without the attributes of this product.
#[derive(Debug)]
pub(crate) struct RegisteredSchema {
    pub(crate) layout: Layout,
    pub(crate) json: Value,
}

impl RegisteredSchema {
    /// An error says why the schema cannot be used.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // Attributes of that name are someone else's there, and of no meaning for reading Avro.
        attributes::strip(&mut json);
        let schema = Schema::parse(&json).map_err(|error| error.to_string())?;
        let layout = compile(&schema).map_err(|refusal| refusal.to_string())?;
        Ok(Self { layout, json })
    }
}
