//! Passing over values that the reader does not want.

use crate::layout::shape::{Shape, UuidForm};
use crate::mapping::decode::Walk;
use crate::mapping::mismatch::Mismatch;

impl Walk<'_, '_> {
    /// Reads only what says where the value ends: what a value means, and whether its text is valid, is not checked.
    pub(super) fn skip(&mut self, shape: &Shape, depth: usize) -> Result<(), Mismatch> {
        self.enter(shape, depth)?;
        match shape {
            Shape::Null => {}
            Shape::Boolean => drop(self.input.boolean()?),
            Shape::Int
            | Shape::Long
            | Shape::Enum(_)
            | Shape::Date
            | Shape::TimeOfDay(_)
            | Shape::Timestamp(_)
            | Shape::LocalTimestamp(_) => drop(self.input.long()?),
            Shape::Float => drop(self.input.bytes(size_of::<f32>())?),
            Shape::Double => drop(self.input.bytes(size_of::<f64>())?),
            Shape::Bytes | Shape::String | Shape::Uuid(UuidForm::Text) => drop(self.input.block()?),
            Shape::Uuid(UuidForm::Fixed) => drop(self.input.bytes(size_of::<uuid::Uuid>())?),
            Shape::Fixed(fixed) => drop(self.input.bytes(fixed.size)?),
            Shape::Decimal(decimal) => match &decimal.fixed {
                Some(fixed) => drop(self.input.bytes(fixed.size)?),
                None => drop(self.input.block()?),
            },
            Shape::Array(items) => self.skip_items(|walk| walk.skip(items, depth + 1))?,
            Shape::Map(values) => self.skip_items(|walk| {
                walk.input.block()?;
                walk.skip(values, depth + 1)
            })?,
            Shape::Record(index) => {
                for field in &self.layout.records[*index].fields {
                    self.skip(&field.shape, depth + 1).map_err(|mismatch| mismatch.in_field(&field.name))?;
                }
            }
            Shape::Union(union) => {
                let branch = self.input.branch(union)?;
                // A branch is not a level of nesting.
                self.skip(branch, depth)?;
            }
        }
        Ok(())
    }

    fn skip_items(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        loop {
            match self.input.long()? {
                0 => return Ok(()),
                // Writers may say how many bytes there are.
                ..0 => {
                    let size = self.input.length()?;
                    self.input.bytes(size)?;
                }
                count => {
                    for _ in 0..count {
                        item(self)?;
                    }
                }
            }
        }
    }
}
