//! `deploy/RUNBOOK.md` has a section for each error code, each kind of halt and each alert.

use std::collections::BTreeSet;
use std::path::Path;

use super::option_structs::snake_case;
use crate::support::{ROOT, sources};

const PAGE: &str = "deploy/RUNBOOK.md";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The text below the heading of a chapter.
fn chapter(name: &str) -> String {
    let page = read(PAGE);
    let heading = format!("## {name}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("## ")).collect::<Vec<_>>().join("\n")
}

/// The names of the sections below a chapter, without the backquotes of codes.
fn sections(name: &str) -> BTreeSet<String> {
    let chapter = chapter(name);
    let names =
        chapter.lines().filter_map(|line| line.strip_prefix("### ").or_else(|| line.strip_prefix("#### ")));
    names.map(|name| name.trim_matches('`').to_owned()).collect()
}

/// The messages that a chapter quotes: code with several words that is neither a command nor a setting.
fn quoted_messages(name: &str) -> Vec<String> {
    let outside_blocks = chapter(name).split("```").step_by(2).collect::<String>();
    let code = outside_blocks.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " "));
    code.filter(|code| code.contains(' ') && !code.contains(" = "))
        .filter(|code| !["aqueduct ", "select ", "--"].iter().any(|command| code.starts_with(command)))
        .collect()
}

/// The texts of a crate's errors, with `…` for what is filled in.
fn error_texts(of: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (_, source) in sources(of) {
        for attribute in source.split("#[error(").skip(1) {
            let Some(literal) = attribute.trim_start().strip_prefix('"') else { continue };
            texts.push(filled_in(literal));
        }
    }
    texts
}

/// The value of a string literal up to its closing quote, with `…` for what is filled in.
fn filled_in(literal: &str) -> String {
    let (mut text, mut characters) = (String::new(), literal.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' if characters.peek() == Some(&'\n') => {
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
            }
            '\\' => text.extend(characters.next()),
            '{' => {
                characters.by_ref().find(|next| *next == '}');
                text.push('…');
            }
            other => text.push(other),
        }
    }
    text
}

/// Whether the parts of a quotation around each `…` are in the text, in their order.
fn is_quoted_from(text: &str, quoted: &str) -> bool {
    let mut rest = text;
    quoted.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The body of an item, from the line that begins with `start` to its closing brace.
fn body(path: &str, start: &str) -> String {
    let source = read(path);
    let mut lines = source.lines().skip_while(|line| !line.trim_start().starts_with(start));
    let first = lines.next().unwrap_or_else(|| panic!("{path} has no {start}"));
    let indentation = first.len() - first.trim_start().len();
    let end = format!("{}}}", " ".repeat(indentation));
    lines.take_while(|line| **line != end).collect::<Vec<_>>().join("\n")
}

/// The texts to which a function maps the variants of an enum.
fn texts(path: &str, function: &str) -> BTreeSet<String> {
    let body = body(path, function);
    let arms = body.split("=>").skip(1).flat_map(|arm| arm.split('"').skip(1).step_by(2).map(str::to_owned));
    arms.collect()
}

/// The variants of an enum, as the headings of the runbook have them.
fn variants(path: &str, name: &str, prefix: &str) -> BTreeSet<String> {
    let body = body(path, &format!("pub enum {name}"));
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    variants
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .map(|variant| format!("{prefix}: {}", snake_case(variant).replace('_', " ")))
        .collect()
}

#[test]
fn each_code_of_a_projection_has_a_section() {
    let codes = texts("crates/projection/src/inbox/reason_code.rs", "pub const fn as_str");
    assert!(codes.contains("blocked"));
    assert_eq!(sections("Events that a projection parked"), codes);
}

#[test]
fn each_code_of_the_relay_has_a_section() {
    let codes = texts("crates/relay/src/record/code.rs", "pub const fn as_str");
    assert!(codes.contains("blocked"));
    assert_eq!(sections("Events that the relay did not relay"), codes);
}

#[test]
fn each_kind_of_a_halted_lane_has_a_section() {
    let mut kinds = texts("crates/relay/src/error.rs", "pub(crate) fn label");
    assert!(kinds.contains("checkpoint"));
    kinds.extend(["event", "schema", "checkpoint: torn exceptions"].map(str::to_owned));
    kinds.extend(variants("crates/relay/src/record/checkpoint_error.rs", "CheckpointError", "checkpoint"));
    assert_eq!(sections("Lanes that halt or retry"), kinds);
}

#[test]
fn each_error_that_halts_a_projection_has_a_section() {
    let mut errors = variants("crates/projection/src/error.rs", "ProjectionError", "projection");
    assert!(errors.contains("projection: offset gone"));
    assert!(errors.remove("projection: request step"), "it is retried and never halts a projection");
    assert_eq!(sections("Projections that halt"), errors);
}

#[test]
fn an_operator_finds_the_messages_that_are_printed() {
    let texts: Vec<_> = ["relay", "projection"].into_iter().flat_map(error_texts).collect();
    let quoted: Vec<_> =
        ["Lanes that halt or retry", "Projections that halt"].into_iter().flat_map(quoted_messages).collect();
    assert!(quoted.len() >= 10, "{quoted:?}");
    let stale = quoted.iter().filter(|quoted| !texts.iter().any(|text| is_quoted_from(text, quoted)));
    let stale: Vec<_> = stale.collect();
    assert!(stale.is_empty(), "{PAGE} quotes messages that no error has: {stale:#?}");
}

#[test]
fn a_quotation_is_compared_without_what_is_filled_in() {
    let text = filled_in("topic {topic} has \\\n         {found} \\\"parts\\\"\", more");
    assert_eq!(text, "topic … has … \"parts\"");
    assert!(is_quoted_from(&text, "topic … has") && is_quoted_from(&text, "has … \"parts"));
    assert!(!is_quoted_from(&text, "has … topic") && !is_quoted_from(&text, "had"));
}

#[test]
fn each_alert_leads_to_a_chapter() {
    let (page, rules) = (read(PAGE), read("deploy/prometheus/rules.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let runbooks: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")).collect();
    assert_eq!(alerts.len(), runbooks.len(), "each alert needs a runbook");
    for (alert, runbook) in alerts.into_iter().zip(runbooks) {
        let anchor = runbook.strip_prefix("deploy/RUNBOOK.md#").unwrap();
        let chapter = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .find(|chapter| chapter.to_lowercase().replace(' ', "-") == anchor);
        let chapter = chapter.unwrap_or_else(|| panic!("{PAGE} has no chapter for {runbook}"));
        assert!(page.contains(&format!("| `{alert}` | [{chapter}](#{anchor}) |")), "{alert}");
    }
    let parked = rules.split("- alert: ").filter(|rule| rule.contains("EventsParked"));
    assert!(parked.clone().count() > 0 && parked.clone().all(|rule| rule.contains("aqueduct parked list")));
}
