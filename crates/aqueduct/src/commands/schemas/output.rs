//! What `schemas infer` prints.

use std::fs;
use std::path::{Path, PathBuf};

use aqueduct_schema::infer::Report;

use crate::configuration::Configuration;

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(super) fn json(report: &Report) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// The report, what was written, and what is left to do.
#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(super) fn text(report: &Report, written: &[PathBuf], configuration: &Configuration) {
    print!("{report}");
    if let Some(check) = report.check.as_ref().filter(|check| check.parked_events() > 0) {
        println!(
            "a route with on_bad_event = \"park\" parks {} events, one with \"skip\" skips {}, one with \"halt\" waits at the first",
            check.parked_events(),
            check.parked_events() - check.followers,
        );
    }
    let folder = configuration.schemas.directory.display();
    match written.len() {
        0 => println!("\nno file was written"),
        1 => println!("\nwrote 1 file to {folder}"),
        count => println!("\nwrote {count} files to {folder}"),
    }
    let text = fs::read_to_string(&configuration.path).unwrap_or_default();
    let lines: Vec<String> = report.map_lines.iter().map(ToString::to_string).collect();
    if !lines.is_empty() {
        println!(
            "\n{}",
            missing_lines(&configuration.path, &text, "[events.types]", "as the files assume", &lines)
        );
    }
}

/// Lines that a section of the configuration lacks, ready to be pasted: a file must not have a section twice.
fn missing_lines(file: &Path, text: &str, heading: &str, reason: &str, lines: &[String]) -> String {
    let (file, lines) = (file.display(), lines.join("\n"));
    if text.lines().any(|line| line.trim() == heading) {
        format!("add below {heading} in {file}, {reason}:\n\n{lines}")
    } else {
        format!("add to {file}, {reason}:\n\n{heading}\n{lines}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_the_file_has_is_not_printed_again() {
        let lines = ["\"a\" = \"A\"".to_owned()];
        let printed = |text: &str| {
            let file = Path::new("aqueduct.toml");
            format!("{text}\n{}", missing_lines(file, text, "[events.types]", "as the files assume", &lines))
        };
        assert!(printed("[relay]").ends_with(":\n\n[events.types]\n\"a\" = \"A\""));
        let below = "add below [events.types] in aqueduct.toml, as the files assume:\n\n\"a\" = \"A\"";
        assert_eq!(printed("[events.types]"), format!("[events.types]\n{below}"));
    }
}
