//! The text of a rule to CEL's syntax tree. The `cel` crate is used for this only.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::Env;
use cel::common::ast::{IdedExpr, SourceInfo};

use crate::limits::{MAX_RULE_BYTES, MAX_RULE_DEPTH};

/// The parser takes up to 170 KiB of stack for a bracket (measured without optimisation), and an ordinary thread has
/// 2 MiB.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// Runs what parses rules on a thread that has the stack for it.
pub(crate) fn on_parser_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Must run on a thread of [`on_parser_stack`]. The macros (`has`, `map` and so on) are calls in the tree.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), String> {
    if text.len() > MAX_RULE_BYTES {
        return Err(format!("is longer than {MAX_RULE_BYTES} bytes"));
    }
    // The parser takes seconds for some texts of deeply nested brackets.
    if depth_of_brackets(text) > MAX_RULE_DEPTH {
        return Err(too_deep());
    }
    let parser = Env::default().with_optional_support(false).parser();
    match catch_unwind(AssertUnwindSafe(|| parser.parse_with_source_info(text))) {
        Ok(parsed) => parsed.map_err(|error| format!("does not parse: {error}")),
        Err(_) => Err("makes its parser panic".to_owned()),
    }
}

pub(super) fn too_deep() -> String {
    format!("is nested deeper than {MAX_RULE_DEPTH}")
}

/// Brackets in a text count too: a rule has no need for so many.
fn depth_of_brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
