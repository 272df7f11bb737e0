//! What `schemas infer` prints.

use std::path::PathBuf;

use aqueduct_relay::Route;
use aqueduct_schema::infer::Report;

use crate::configuration::Configuration;

#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(super) fn json(report: &Report) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// The report, what was written, and what is left to do.
#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(super) fn text(report: &Report, written: &[PathBuf], configuration: &Configuration, routes: &[Route]) {
    print!("{report}");
    if let Some(check) = report.check.as_ref().filter(|check| check.parked_events() > 0) {
        println!(
            "a route with on_bad_event = \"park\" parks {} events, one with \"skip\" skips {}, one with \"halt\" waits at the first",
            check.parked_events(),
            check.parked_events() - check.followers,
        );
    }
    let (folder, file) = (configuration.schemas.directory.display(), configuration.path.display());
    match written.len() {
        0 => println!("\nno file was written"),
        1 => println!("\nwrote 1 file to {folder}"),
        count => println!("\nwrote {count} files to {folder}"),
    }
    if !report.map_lines.is_empty() {
        println!("\nadd to {file}, as the files assume:\n\n[events.types]");
        for line in &report.map_lines {
            println!("{line}");
        }
    }
    let missing = missing_contexts(report, configuration, routes);
    if !missing.is_empty() {
        println!("\nadd to {file}, so that `setup` publishes the schemas:\n\n[schemas.contexts]");
        for (topic, contexts) in missing {
            println!("{topic:?} = {contexts:?}");
        }
    }
}

/// The topics whose contexts lack one that has files of the report, with what they should have.
fn missing_contexts(
    report: &Report,
    configuration: &Configuration,
    routes: &[Route],
) -> Vec<(String, Vec<String>)> {
    let mut missing = Vec::new();
    for route in routes {
        let mut contexts = configuration.schemas.contexts.get(&route.topic).cloned().unwrap_or_default();
        let known = contexts.len();
        for file in &report.files {
            if !contexts.contains(&file.context) {
                contexts.push(file.context.clone());
            }
        }
        if contexts.len() > known {
            missing.push((route.topic.clone(), contexts));
        }
    }
    missing
}
