//! Rows that are structs of plain values, straight to their cells. A row as a JSON object costs an allocation for each column
//! and its name, and a batch has a thousand rows.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error, Impossible, SerializeStruct, Serializer};

use crate::model::cells::{Cell, Cells};

/// The cells of a row; `None` if it is not a struct, or one of its fields is neither text, flag nor whole number, or cannot be
/// serialised. What the cells are is what they are in the row's JSON.
pub(crate) fn plain_cells<R: Serialize>(row: &R) -> Option<Cells> {
    row.serialize(RowSerializer).ok()
}

/// A value is not plain.
#[derive(Debug)]
struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a plain value")
    }
}

impl std::error::Error for NotPlain {}

impl Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Methods for values that are not plain.
macro_rules! not_plain {
    ($($method:ident($($of:ty),*) -> $serialize:ty;)+) => {
        $(fn $method(self, $(_: $of),*) -> Result<$serialize, NotPlain> {
            Err(NotPlain)
        })+
    };
}

macro_rules! not_plain_compound {
    () => {
        type SerializeSeq = Impossible<Self::Ok, NotPlain>;
        type SerializeTuple = Impossible<Self::Ok, NotPlain>;
        type SerializeTupleStruct = Impossible<Self::Ok, NotPlain>;
        type SerializeTupleVariant = Impossible<Self::Ok, NotPlain>;
        type SerializeMap = Impossible<Self::Ok, NotPlain>;
        type SerializeStructVariant = Impossible<Self::Ok, NotPlain>;

        not_plain! {
            serialize_f32(f32) -> Self::Ok;
            serialize_f64(f64) -> Self::Ok;
            serialize_bytes(&[u8]) -> Self::Ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_map(Option<usize>) -> Self::SerializeMap;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<Self::Ok, NotPlain> {
            Err(NotPlain)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<Self::Ok, NotPlain> {
            value.serialize(self)
        }
    };
}

struct RowSerializer;

impl Serializer for RowSerializer {
    type Ok = Cells;
    type Error = NotPlain;
    type SerializeStruct = RowFields;

    fn serialize_struct(self, _: &'static str, fields: usize) -> Result<RowFields, NotPlain> {
        Ok(RowFields(Cells::with_capacity(fields)))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Cells, NotPlain> {
        Err(NotPlain)
    }

    not_plain! {
        serialize_bool(bool) -> Cells;
        serialize_i8(i8) -> Cells;
        serialize_i16(i16) -> Cells;
        serialize_i32(i32) -> Cells;
        serialize_i64(i64) -> Cells;
        serialize_u8(u8) -> Cells;
        serialize_u16(u16) -> Cells;
        serialize_u32(u32) -> Cells;
        serialize_u64(u64) -> Cells;
        serialize_char(char) -> Cells;
        serialize_str(&str) -> Cells;
        serialize_none() -> Cells;
        serialize_unit() -> Cells;
        serialize_unit_struct(&'static str) -> Cells;
        serialize_unit_variant(&'static str, u32, &'static str) -> Cells;
    }

    not_plain_compound!();
}

struct RowFields(Cells);

impl SerializeStruct for RowFields {
    type Ok = Cells;
    type Error = NotPlain;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotPlain> {
        value.serialize(FieldSerializer { cells: &mut self.0, name })
    }

    fn end(self) -> Result<Cells, NotPlain> {
        Ok(self.0)
    }
}

struct FieldSerializer<'a> {
    cells: &'a mut Cells,
    name: &'static str,
}

impl FieldSerializer<'_> {
    fn push(self, cell: Cell<'_>) -> Result<(), NotPlain> {
        self.cells.push(self.name, cell);
        Ok(())
    }

    fn push_integer(self, number: impl TryInto<i64>) -> Result<(), NotPlain> {
        let number = number.try_into().map_err(|_| NotPlain)?;
        self.push(Cell::Integer(number))
    }
}

macro_rules! integers {
    ($($method:ident($of:ty);)+) => {
        $(fn $method(self, number: $of) -> Result<(), NotPlain> {
            self.push_integer(number)
        })+
    };
}

impl Serializer for FieldSerializer<'_> {
    type Ok = ();
    type Error = NotPlain;
    type SerializeStruct = Impossible<(), NotPlain>;

    fn serialize_bool(self, flag: bool) -> Result<(), NotPlain> {
        self.push(Cell::Bool(flag))
    }

    integers! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
    }

    fn serialize_char(self, letter: char) -> Result<(), NotPlain> {
        self.push(Cell::Text(letter.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, text: &str) -> Result<(), NotPlain> {
        self.push(Cell::Text(text))
    }

    fn serialize_none(self) -> Result<(), NotPlain> {
        self.push(Cell::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotPlain> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotPlain> {
        self.push(Cell::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotPlain> {
        self.push(Cell::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NotPlain> {
        self.push(Cell::Text(variant))
    }

    not_plain! {
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }

    not_plain_compound!();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value};

    use super::*;

    #[derive(Serialize)]
    #[serde(transparent)]
    struct Sku(String);

    #[derive(Serialize)]
    struct Marker;

    #[derive(Serialize)]
    enum Size {
        Small,
    }

    #[derive(Serialize)]
    struct Row {
        sku: Sku,
        #[serde(rename = "order")]
        rank: i8,
        least: i64,
        most: u64,
        is_sold: bool,
        grade: char,
        size: Size,
        day: jiff::civil::Date,
        id: uuid::Uuid,
        note: Option<&'static str>,
        remark: Option<Option<&'static str>>,
        marker: Marker,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
    }

    fn row() -> Row {
        Row {
            sku: Sku("a \"b\" \\ ü\n".to_owned()),
            rank: -7,
            least: i64::MIN,
            most: i64::MAX as u64,
            is_sold: true,
            grade: 'é',
            size: Size::Small,
            day: "2010-12-01".parse().unwrap(),
            id: uuid::Uuid::from_u128(7),
            note: None,
            remark: Some(Some("x")),
            marker: Marker,
            left_out: None,
        }
    }

    fn by_name(cells: &Cells) -> BTreeMap<&str, Cell<'_>> {
        cells.names().zip(cells.cells()).collect()
    }

    #[test]
    fn cells_are_what_the_json_says() {
        let json: Map<String, Value> = serde_json::from_value(serde_json::to_value(row()).unwrap()).unwrap();
        let (straight, by_json) = (plain_cells(&row()).unwrap(), Cells::from(&json));
        assert_eq!(by_name(&straight), by_name(&by_json));
        assert_eq!(straight.len(), 12);
    }

    #[test]
    fn what_is_not_plain_is_left_to_json() {
        fn refused<T: Serialize>(value: T) -> bool {
            #[derive(Serialize)]
            struct One<T> {
                value: T,
            }
            plain_cells(&One { value }).is_none()
        }
        assert!(refused(0.5_f32));
        assert!(refused(u64::MAX));
        assert!(refused(i128::MAX));
        assert!(refused([1]));
        assert!(refused((1, 2)));
        assert!(refused(BTreeMap::from([("a", 1)])));
        assert!(refused(Some(row())));
        assert!(refused(serde_json::json!({ "a": 1 })));
        assert!(plain_cells(&BTreeMap::from([("a", 1)])).is_none());
        assert!(plain_cells(&"a").is_none());
        assert!(plain_cells(&Some(row())).is_none());
    }
}
