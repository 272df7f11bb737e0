//! Numbers as text.

/// Digits of the largest number.
const MOST: usize = 20;

/// Appends a number in decimal. Without `fmt`, which takes three times as long: a record has four numbers.
pub(crate) fn append_decimal(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; MOST];
    let mut start = MOST;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
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
