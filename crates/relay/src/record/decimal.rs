//! Numbers as text.

/// Appends a number in decimal. Without `fmt`, which takes three times as long: a record has four numbers.
pub(crate) fn append_decimal(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::append_decimal;

    fn decimal(number: u64) -> String {
        let mut text = b"at ".to_vec();
        append_decimal(&mut text, number);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn is_what_display_writes(number: u64, shift in 0..64_u32) {
            for number in [number >> shift, 0, 9, 10, u64::MAX] {
                prop_assert_eq!(decimal(number), format!("at {number}"));
            }
        }
    }
}
