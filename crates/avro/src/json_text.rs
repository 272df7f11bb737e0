//! The text of a schema as JSON. Avro's reference allows comments in it.

use std::borrow::Cow;

/// The text with spaces in place of `//` and `/* */` comments before the end of its value, so that places in it stay the same.
pub(crate) fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains('/') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some(start) = rest.find(['"', '/', '[', ']', '{', '}']) {
        let (before, found) = rest.split_at(start);
        plain.push_str(before);
        let length = if found.starts_with('"') {
            string_length(found)
        } else if found.starts_with("//") {
            found.find(['\n', '\r']).unwrap_or(found.len())
        } else {
            // One without an end stays: it is not JSON.
            found.strip_prefix("/*").and_then(|comment| comment.find("*/")).map_or(1, |end| end + 4)
        };
        let (token, after) = found.split_at(length);
        rest = after;
        if token.starts_with('/') && token.len() > 1 {
            plain.extend(token.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
            continue;
        }
        plain.push_str(token);
        match token {
            "[" | "{" => depth += 1,
            "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !token.starts_with('/') {
            break;
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Of the string with which the text begins, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_spaces_outside_of_strings() {
        assert_eq!(without_comments("// a\n\"int\""), "    \n\"int\"");
        assert_eq!(
            without_comments("/* a\nb */{\"doc\":\"a // b \\\" /* c */\"} //"),
            "    \n    {\"doc\":\"a // b \\\" /* c */\"} //"
        );
        assert_eq!(without_comments("\"a/b\" / 1"), "\"a/b\" / 1");
        assert_eq!(without_comments("/* open"), "/* open");
        assert_eq!(without_comments("/*/ 1 */"), "        ");
    }
}
