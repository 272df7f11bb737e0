//! Commands and their output in a page of Markdown.

/// A block of commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) command: String,
    /// The block of output below it; any, if there is none.
    pub(super) expected: String,
    /// The text above it tells the reader to run it in another terminal.
    pub(super) in_own_terminal: bool,
}

/// The blocks `sh` of a page in their order, with the blocks `text` after them.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut parts = page.split("```");
    let mut above = parts.next().unwrap_or_default();
    while let (Some(fenced), Some(below)) = (parts.next(), parts.next()) {
        let (language, text) = fenced.split_once('\n').unwrap_or_default();
        if language == "sh" {
            let paragraph = above.trim_end().rsplit("\n\n").next().unwrap_or_default();
            blocks.push(Block {
                command: text.to_owned(),
                expected: "…\n".to_owned(),
                in_own_terminal: paragraph.contains(" terminal"),
            });
        } else if language == "text"
            && let Some(block) = blocks.last_mut()
        {
            text.clone_into(&mut block.expected);
        }
        above = below;
    }
    blocks
}

/// Whether the output is as expected: `…` in a line is any text, as a line of its own any lines.
pub(super) fn is_printed(expected: &str, output: &str) -> bool {
    lines_match(&expected.lines().collect::<Vec<_>>(), &output.lines().collect::<Vec<_>>())
}

fn lines_match(expected: &[&str], output: &[&str]) -> bool {
    match expected {
        [] => output.is_empty(),
        ["…", rest @ ..] => (0..=output.len()).any(|skipped| lines_match(rest, &output[skipped..])),
        [first, rest @ ..] => output
            .split_first()
            .is_some_and(|(line, after)| line_matches(first, line) && lines_match(rest, after)),
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else { return expected == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let starts = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
    starts.into_iter().any(|index| line_matches(after, &rest[index..]))
}

#[test]
fn blocks_have_their_output_and_terminal() {
    let page =
        "x\n\n```sh\na\n```\n\n```text\n1\n```\n\nIn another terminal:\n\n```sh\nb\n```\n\n```toml\nc\n```\n";
    let block = |command: &str, expected: &str, in_own_terminal| Block {
        command: command.to_owned(),
        expected: expected.to_owned(),
        in_own_terminal,
    };
    assert_eq!(blocks(page), [block("a\n", "1\n", false), block("b\n", "…\n", true)]);
}

#[test]
fn only_what_the_page_leaves_out_may_differ() {
    for (expected, output) in
        [("a\n", "a\n"), ("…\nb\n", "b"), ("…\nb\n…\n", "a\nb\nc\n"), ("a … c …\n", "a b c d\n")]
    {
        assert!(is_printed(expected, output), "{expected} {output}");
    }
    for (expected, output) in [("a\n", "b\n"), ("a\n", "a\nb\n"), ("…\nb\n", "b\na\n"), ("a …\n", "b c\n")]
    {
        assert!(!is_printed(expected, output), "{expected} {output}");
    }
}
