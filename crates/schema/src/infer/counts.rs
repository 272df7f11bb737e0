//! Counts in reports.

/// `40,211`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `40,211 events`.
pub(super) fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{} events", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (count, text) in [(0, "0 events"), (1, "1 event"), (999, "999 events"), (40_211, "40,211 events")]
        {
            assert_eq!(events(count), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
