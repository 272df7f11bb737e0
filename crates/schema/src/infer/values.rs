//! Messages without the values of events.

/// A problem without the quoted parts, which may be values of the event, and without positions in lists.
pub(super) fn without_values(problem: &str) -> String {
    let mut text = String::new();
    let mut quoted = false;
    let mut escaped = false;
    let mut index = false;
    for character in problem.chars() {
        if quoted {
            let closes = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            if closes {
                quoted = false;
                text.push_str("…\"");
            }
        } else if index && character.is_ascii_digit() {
        } else {
            index = character == '[';
            quoted = character == '"';
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_hold_no_values() {
        assert_eq!(
            without_values("lines[12].price: \"a \\\" b\" is not a number"),
            "lines[].price: \"…\" is not a number"
        );
        assert_eq!(without_values("a[\"key\"]: missing"), "a[\"…\"]: missing");
    }
}
