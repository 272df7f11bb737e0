//! The bytes of Avro's primitive types.

use crate::layout::shape::{Shape, Union};
use crate::mapping::mismatch::Mismatch;

/// What has not been read yet.
pub(crate) struct Input<'de> {
    rest: &'de [u8],
}

impl<'de> Input<'de> {
    pub(crate) fn new(avro: &'de [u8]) -> Self {
        Self { rest: avro }
    }

    /// Refuses trailing bytes.
    pub(crate) fn end(&self) -> Result<(), Mismatch> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Mismatch::new(format!("{left} bytes are left after the value"))),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Mismatch> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Mismatch::new("a boolean that is neither 0 nor 1")),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i32, Mismatch> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} does not fit an int (32 bits)")))
    }

    pub(crate) fn long(&mut self) -> Result<i64, Mismatch> {
        let mut zigzag: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            zigzag |= bits << shift;
            if byte < 0x80 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err(Mismatch::new("a number of more than 64 bits"))
    }

    pub(crate) fn text(&mut self) -> Result<&'de str, Mismatch> {
        std::str::from_utf8(self.block()?).map_err(|error| Mismatch::new(format!("a string: {error}")))
    }

    /// Bytes behind their length.
    pub(crate) fn block(&mut self) -> Result<&'de [u8], Mismatch> {
        let length = self.length()?;
        self.bytes(length)
    }

    pub(crate) fn length(&mut self) -> Result<usize, Mismatch> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| Mismatch::new(format!("{length} is not a length or an index")))
    }

    /// The branch of a union.
    pub(crate) fn branch<'l>(&mut self, union: &'l Union) -> Result<&'l Shape, Mismatch> {
        let index = self.length()?;
        let branch = union.branches.get(index);
        branch.ok_or_else(|| Mismatch::new(format!("the union has no branch {index}")))
    }

    /// The number of items in the next block of an array or map, 0 at its end. A negative one is followed by
    /// the block's size in bytes, for readers that skip it.
    pub(crate) fn block_count(&mut self) -> Result<u64, Mismatch> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Mismatch> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(too_early)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'de [u8], Mismatch> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(too_early)?;
        self.rest = rest;
        Ok(bytes)
    }
}

fn too_early() -> Mismatch {
    Mismatch::new("the bytes end too early")
}
