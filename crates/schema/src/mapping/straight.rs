//! Plain JSON text straight to Avro bytes, without a tree of its values.
//!
//! Records and arrays are encoded while their text is read; scalars, and everything that has more than one form in
//! JSON, go through the [`Encoder`] as they do from the tree. So each type has one encoding, and mistakes are reported
//! in one place: where there is one, this way gives up, and the tree finds it again.

use std::borrow::Cow;
use std::ops::Range;

use crate::layout::json_kind::JsonKind;
use crate::layout::shape::{Shape, Union};
use crate::layout::types::{Layout, Names, Record, UnknownFields};
use crate::mapping::encode::Encoder;
use crate::mapping::json::parse::Parser;

/// The most unknown fields of an object among which a repeated one is looked for here.
const MOST_UNKNOWN: usize = 16;

/// Appends the Avro of a stored event to `avro`. Returns the number of fields that no schema has and that were left
/// out. `None` leaves `avro` as it was: the text is not a valid event, or of a form that needs the tree.
pub(crate) fn encode(layout: &Layout, json: &[u8], avro: &mut Vec<u8>) -> Option<usize> {
    let parser = Parser::new(json).ok()?;
    let start = avro.len();
    let encoder = Encoder::new(layout, Names::Stored, std::mem::take(avro));
    let fields = Vec::with_capacity(layout.event().fields.len());
    let mut straight = Straight { parser, encoder, fields };
    let encoded = straight.event();
    let Encoder { avro: bytes, dropped_fields, .. } = straight.encoder;
    *avro = bytes;
    if encoded.is_none() {
        avro.truncate(start);
    }
    encoded.map(|()| dropped_fields)
}

struct Straight<'l, 'j> {
    parser: Parser<'j>,
    encoder: Encoder<'l>,
    /// Where in the Avro the fields of the records that are being read are, the innermost record's last.
    fields: Vec<Option<Range<usize>>>,
}

impl Straight<'_, '_> {
    fn event(&mut self) -> Option<()> {
        self.value(&Shape::Record(Layout::EVENT))?;
        self.parser.end().ok()
    }

    // The depth of the recursion is bounded by that of the JSON, which its parser bounds.
    fn value(&mut self, shape: &Shape) -> Option<()> {
        match (shape, self.parser.next_byte()) {
            (Shape::Record(index), Some(b'{')) => {
                let layout = self.encoder.layout;
                let record = &layout.records[*index];
                match record.unknown_fields {
                    UnknownFields::Keep => self.tree(shape),
                    UnknownFields::Drop | UnknownFields::Error => self.record(record),
                }
            }
            (Shape::Array(items), Some(b'[')) => self.array(items),
            (Shape::Union(union), Some(b'{')) => self.branch(union, JsonKind::Object),
            (Shape::Union(union), Some(b'[')) => self.branch(union, JsonKind::Array),
            _ => self.tree(shape),
        }
    }

    fn tree(&mut self, shape: &Shape) -> Option<()> {
        let json = self.parser.value().ok()?;
        self.encoder.value(shape, &json).ok()
    }

    fn branch(&mut self, union: &Union, kind: JsonKind) -> Option<()> {
        let index = union.branch_of(kind, false)?;
        self.encoder.count(1).ok()?;
        self.encoder.length(index);
        self.value(&union.branches[index])
    }

    fn array(&mut self, items: &Shape) -> Option<()> {
        self.encoder.count(1).ok()?;
        let start = self.encoder.avro.len();
        // The number of items, which is not known yet; without items it is the end of the array.
        self.encoder.avro.push(0);
        self.parser.enter().ok()?;
        let mut count = 0;
        while self.parser.next_item(count == 0).ok()? {
            self.value(items)?;
            count += 1;
        }
        if count == 0 {
            return Some(());
        }
        match u8::try_from(count) {
            // Zigzag, in one byte.
            Ok(count @ ..64) => self.encoder.avro[start] = count << 1,
            _ => {
                let end = self.encoder.avro.len();
                self.encoder.length(count);
                let length = self.encoder.avro.split_off(end);
                self.encoder.avro.splice(start..=start, length);
            }
        }
        self.encoder.avro.push(0);
        Some(())
    }

    /// Encodes the fields where they are in the text, and moves them if that is not the schema's order.
    fn record(&mut self, record: &Record) -> Option<()> {
        self.encoder.count(1).ok()?;
        let enclosing = std::mem::replace(&mut self.encoder.unknown_fields, record.unknown_fields);
        let (start, first) = (self.encoder.avro.len(), self.fields.len());
        self.fields.resize(first + record.fields.len(), None);
        let (mut unknown, mut in_order, mut next) = (Vec::new(), 0, 0);
        self.parser.enter().ok()?;
        let mut is_first = true;
        while let Some(key) = self.parser.next_key(is_first).ok()? {
            is_first = false;
            let Some(field) = field_of(record, next, &key) else {
                self.drop(record, key, &mut unknown)?;
                continue;
            };
            let before = self.encoder.avro.len();
            self.value(&record.fields[field].shape)?;
            // The key again, or another name of the field.
            let is_repeated = self.fields[first + field].replace(before..self.encoder.avro.len()).is_some();
            if is_repeated {
                return None;
            }
            in_order += usize::from(field == in_order);
            next = field + 1;
        }
        if in_order < record.fields.len() {
            self.reorder(record, start, first)?;
        }
        self.fields.truncate(first);
        self.encoder.unknown_fields = enclosing;
        Some(())
    }

    fn reorder(&mut self, record: &Record, start: usize, first: usize) -> Option<()> {
        let Self { encoder, fields, .. } = self;
        let end = encoder.avro.len();
        for (field, range) in record.fields.iter().zip(&fields[first..]) {
            match range {
                Some(range) => encoder.avro.extend_from_within(range.clone()),
                None => encoder.default(field.default.as_ref()?).ok()?,
            }
        }
        encoder.avro.drain(start..end);
        Some(())
    }

    /// Reads a field that the record does not have.
    fn drop<'j>(
        &mut self,
        record: &Record,
        key: Cow<'j, str>,
        unknown: &mut Vec<Cow<'j, str>>,
    ) -> Option<()> {
        let is_dropped = record.unknown_fields == UnknownFields::Drop;
        if !is_dropped || unknown.len() == MOST_UNKNOWN || unknown.contains(&key) {
            return None;
        }
        self.parser.value().ok()?;
        self.encoder.dropped_fields += 1;
        unknown.push(key);
        Some(())
    }
}

/// The field that has the name. Writers mostly keep one order of fields, so the `next` one is tried first.
fn field_of(record: &Record, next: usize, name: &str) -> Option<usize> {
    if record.fields.get(next).is_some_and(|field| field.stored_names.first().is_some_and(|it| it == name)) {
        return Some(next);
    }
    record.by_stored_name.get(name).copied()
}
