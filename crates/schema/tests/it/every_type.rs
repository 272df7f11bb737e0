// Written by `aqueduct schemas generate` from the schema files. Change those, not this.

//! The events in their latest versions, in the plain JSON mapping.

use serde::{Deserialize, Serialize};

/// `test.things.Colour`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Colour {
    /// `RED`.
    #[serde(rename = "RED")]
    Red,
    /// `light_blue`.
    #[serde(rename = "light_blue")]
    LightBlue,
    /// `Green`.
    Green,
}

/// One field of each type.
/// For the tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryType {
    /// `yes`.
    pub yes: bool,
    /// `anInt`.
    #[serde(rename = "anInt")]
    pub an_int: i32,
    /// `aLong`.
    #[serde(rename = "aLong")]
    pub a_long: aqueduct_schema::plain::Long,
    /// `aFloat`.
    #[serde(rename = "aFloat")]
    pub a_float: aqueduct_schema::plain::Double,
    /// `aDouble`.
    #[serde(rename = "aDouble")]
    pub a_double: aqueduct_schema::plain::Double,
    /// `someBytes`.
    #[serde(rename = "someBytes")]
    pub some_bytes: aqueduct_schema::plain::Bytes,
    /// `HTTPText`.
    #[serde(rename = "HTTPText")]
    pub http_text: String,
    /// `type`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `nothing`.
    pub nothing: (),
    /// `fourBytes`.
    #[serde(rename = "fourBytes")]
    pub four_bytes: aqueduct_schema::plain::Bytes,
    /// `colour`.
    pub colour: Colour,
    /// `colours`.
    pub colours: Vec<Colour>,
    /// `sizes`.
    pub sizes: std::collections::BTreeMap<String, aqueduct_schema::plain::Long>,
    /// `maybe`.
    pub maybe: Option<String>,
    /// `orNot`.
    #[serde(rename = "orNot")]
    pub or_not: Option<i32>,
    /// `amount`.
    pub amount: rust_decimal::Decimal,
    /// `huge`.
    pub huge: String,
    /// `id`.
    pub id: uuid::Uuid,
    /// `day`.
    pub day: jiff::civil::Date,
    /// `clock`.
    pub clock: jiff::civil::Time,
    /// `instant`.
    pub instant: jiff::Timestamp,
    /// `local`.
    pub local: jiff::civil::DateTime,
    /// `tree`.
    pub tree: Box<Tree>,
}

/// `test.things.Leaf`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {}

/// `test.things.Tree`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// `left`.
    pub left: Option<Box<Tree>>,
    /// `others`.
    pub others: Vec<Tree>,
    /// `leaf`.
    pub leaf: Leaf,
}
