//! Avro's binary form of numbers, texts and blocks.

use crate::decode::DecodeError;

/// Appends a long: zigzag, then seven bits a byte, the lowest first.
pub(crate) fn write_long(value: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Appends bytes after their number.
pub(crate) fn write_bytes(value: &[u8], bytes: &mut Vec<u8>) {
    // No value has more bytes than a long counts.
    write_long(value.len() as i64, bytes);
    bytes.extend_from_slice(value);
}

/// Bytes that are being read.
pub(crate) struct Input<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(DecodeError::Boolean(byte)),
        }
    }

    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::TooLong);
            }
            zigzag |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err(DecodeError::TooLong)
    }

    pub(crate) fn int(&mut self) -> Result<i32, DecodeError> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| DecodeError::Int(long))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = usize::try_from(self.long()?).map_err(|_| DecodeError::Negative)?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// The number of items of the next block; 0 after the last one. A negative number has the size of the block behind it.
    pub(crate) fn block(&mut self) -> Result<u64, DecodeError> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_read_as_they_were_written() {
        for value in [0, -1, 1, 63, -64, 64, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            write_long(value, &mut bytes);
            let mut input = Input { rest: &bytes };
            assert_eq!(input.long().unwrap(), value);
            assert!(input.rest.is_empty());
        }
        let too_long = [0xff; 11];
        assert!(matches!(Input { rest: &too_long }.long(), Err(DecodeError::TooLong)));
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(matches!(Input { rest: &beyond }.long(), Err(DecodeError::TooLong)));
    }
}
