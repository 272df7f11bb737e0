//! The old orders service, as far as it lives on: `OrderCreated` version 1.

use std::sync::Arc;

use aqueduct::{Codec, CodecError, CodecProblem, SchemaSet};
use bytes::Bytes;
use jiff::civil::DateTime;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::events::OrderCreated;

const EVENT_TYPE: &str = "OrderCreated";
const VERSION: u32 = 1;

/// Writes `OrderCreated` as the old service did: amounts as strings in pounds, the time without a `T`, no
/// currency and no total. Written by hand, as the old service was; every event is checked against `v1.avsc`
/// before it is stored. Other events, and all reading, are as they are today.
pub struct LegacyOrders {
    schemas: Arc<SchemaSet>,
}

impl LegacyOrders {
    /// The old writer on these schemas.
    pub fn new(schemas: Arc<SchemaSet>) -> Self {
        Self { schemas }
    }
}

impl Codec for LegacyOrders {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        if event_type != EVENT_TYPE {
            return self.schemas.encode(event_type, latest);
        }
        let json = |problem: &str, source: serde_json::Error| CodecError {
            event_type: event_type.to_owned(),
            version: VERSION,
            category: CodecProblem::Payload,
            place: None,
            problem: problem.to_owned(),
            source: Some(source.into()),
        };
        let event: OrderCreated = serde_json::from_slice(&latest)
            .map_err(|error| json("is not an OrderCreated of the latest version", error))?;
        let old = serde_json::to_vec(&OldOrder::from(event))
            .map_err(|error| json("cannot be written as JSON", error))?;
        Ok((VERSION, self.schemas.check(event_type, VERSION, old)?))
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        self.schemas.upcast(event_type, version, stored)
    }

    fn read_foreign(
        &self,
        event_type: &str,
        version: Option<u32>,
        stored: &Bytes,
    ) -> Result<Bytes, CodecError> {
        self.schemas.read_foreign(event_type, version, stored)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OldOrder {
    order_id: String,
    customer: Option<String>,
    placed: String,
    country: String,
    lines: Vec<OldLine>,
    charges: Vec<OldCharge>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OldLine {
    sku: String,
    description: String,
    quantity: i32,
    unit_price: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OldCharge {
    code: String,
    description: String,
    quantity: i32,
    unit_price: String,
}

impl From<OrderCreated> for OldOrder {
    fn from(event: OrderCreated) -> Self {
        let line = |line: crate::events::OrderLine| OldLine {
            sku: line.sku,
            description: line.description,
            quantity: line.quantity,
            unit_price: pounds(line.unit_price),
        };
        let charge = |charge: crate::events::Charge| OldCharge {
            code: charge.code,
            description: charge.description,
            quantity: charge.quantity,
            unit_price: pounds(charge.unit_price),
        };
        Self {
            order_id: event.order_id,
            customer: event.customer_id,
            placed: local_time(event.placed_at),
            country: event.country,
            lines: event.lines.into_iter().map(line).collect(),
            charges: event.charges.into_iter().map(charge).collect(),
        }
    }
}

/// "2.55", with at least two places and as many as it takes: 0.1 pence is "0.001".
fn pounds(minor_units: Decimal) -> String {
    // Moving the point is exact.
    let mut pounds = (minor_units * Decimal::new(1, 2)).normalize();
    if pounds.scale() < 2 {
        pounds.rescale(2);
    }
    pounds.to_string()
}

/// "2010-12-01 08:26:00".
fn local_time(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn pence_become_pounds_exactly() {
        for (minor_units, expected) in
            [("255.000", "2.55"), ("300", "3.00"), ("0.100", "0.001"), ("0", "0.00"), ("210", "2.10")]
        {
            assert_eq!(pounds(minor_units.parse().unwrap()), expected, "{minor_units}");
        }
    }

    #[test]
    fn times_have_a_space_and_no_fraction() {
        assert_eq!(local_time(date(2010, 12, 1).at(8, 26, 0, 0)), "2010-12-01 08:26:00");
    }
}
