//! Avro as one would decode it for a single read model: into a struct of only the fields that it needs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use aqueduct_core::RecordedEvent;
use aqueduct_schema::SchemaSet;
use bytes::Bytes;
use serde::Deserialize;
use serde_avro_fast::Schema;
use serde_json::Value;

use crate::Failure;

/// First byte of the registry's wire format. The schema's id follows in four bytes, then the datum.
const MAGIC: u8 = 0;

/// Event types and Avro schemas by the id in the records' values.
pub(super) struct WriterSchemas(HashMap<[u8; 4], (String, Schema)>);

/// A record's value without its header.
pub(super) struct Datum<'a> {
    bytes: &'a [u8],
    schema: &'a Schema,
}

impl WriterSchemas {
    /// The schemas of records that a relay made of these events: it writes the latest version.
    pub(super) fn of<'a>(
        records: impl IntoIterator<Item = (&'a RecordedEvent, &'a Bytes)>,
        schemas: &SchemaSet,
    ) -> Result<Self, Failure> {
        let mut by_id = HashMap::new();
        for (event, value) in records {
            let (id, _) = split(value)?;
            if let Entry::Vacant(unknown) = by_id.entry(id) {
                let of_type = schemas.event(&event.event_type).ok_or("an event has no schema")?;
                let latest = of_type.schema(of_type.latest()).ok_or("an event has no latest schema")?;
                unknown.insert((event.event_type.clone(), without_logical_types(latest)?));
            }
        }
        Ok(Self(by_id))
    }

    /// The event type of a record and what there is to decode.
    pub(super) fn datum<'a>(&'a self, value: &'a [u8]) -> Result<(&'a str, Datum<'a>), Failure> {
        let (id, bytes) = split(value)?;
        let (event_type, schema) = self.0.get(&id).ok_or("a record has an unknown schema")?;
        Ok((event_type, Datum { bytes, schema }))
    }
}

impl<'a> Datum<'a> {
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Result<T, Failure> {
        Ok(serde_avro_fast::from_datum_slice(self.bytes, self.schema)?)
    }
}

fn split(value: &[u8]) -> Result<([u8; 4], &[u8]), Failure> {
    match value {
        [MAGIC, a, b, c, d, datum @ ..] => Ok(([*a, *b, *c, *d], datum)),
        _ => Err("a record's value is not in the registry's wire format".into()),
    }
}

/// The bytes on the wire are the same without them. With them the crate makes a text of each decimal, even of one that
/// is skipped, and an order has one per line.
fn without_logical_types(schema: &str) -> Result<Schema, Failure> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("logicalType");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(schema)?;
    strip(&mut schema);
    Ok(schema.to_string().parse()?)
}

/// The number in an Avro decimal: big-endian in two's complement, as short as it can be.
pub(super) fn unscaled(decimal: &[u8]) -> Result<i128, Failure> {
    let negative = decimal.first().is_some_and(|first| first & 0x80 != 0);
    let mut bytes = if negative { [0xff; 16] } else { [0; 16] };
    let start = bytes.len().checked_sub(decimal.len()).ok_or("a decimal has more than 16 bytes")?;
    bytes[start..].copy_from_slice(decimal);
    Ok(i128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_signed() {
        assert_eq!(unscaled(&[]).unwrap(), 0);
        assert_eq!(unscaled(&[0x7f]).unwrap(), 127);
        assert_eq!(unscaled(&[0x00, 0x80]).unwrap(), 128);
        assert_eq!(unscaled(&[0xff, 0x7f]).unwrap(), -129);
        assert!(unscaled(&[1; 17]).is_err());
    }

    #[test]
    fn only_the_needed_fields_are_read() {
        #[derive(Deserialize)]
        struct Needed<'a> {
            total: &'a [u8],
        }
        let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3}"#;
        let schema = format!(
            r#"{{"type": "record", "name": "Order", "fields": [
                {{"name": "id", "type": "string"}},
                {{"name": "prices", "type": {{"type": "array", "items": {decimal}}}}},
                {{"name": "total", "type": {decimal}}}]}}"#
        );
        let schema = without_logical_types(&schema).unwrap();
        let schemas = WriterSchemas(HashMap::from([([0, 0, 0, 7], ("OrderCreated".to_owned(), schema))]));
        // The id "A", an array of one price, the end of the array, the total 258.
        let value = [0, 0, 0, 0, 7, 2, b'A', 2, 2, 5, 0, 4, 1, 2];
        let (event_type, datum) = schemas.datum(&value).unwrap();
        assert_eq!(event_type, "OrderCreated");
        assert_eq!(unscaled(datum.read::<Needed<'_>>().unwrap().total).unwrap(), 258);
        assert!(schemas.datum(&[0, 0, 0, 0, 8]).is_err());
        assert!(schemas.datum(&[1, 0, 0, 0, 7]).is_err());
    }
}
