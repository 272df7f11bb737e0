//! The result of a run.

use std::process::ExitCode;

use aqueduct::Configuration;
use aqueduct_shop::input::Plan;
use aqueduct_verify::Report;
use serde_json::{Map, Value, json};

use super::Services;
use super::arguments::Arguments;
use super::latency::Latency;
use super::stages::{Stage, StageTimes};
use crate::Failure;
use crate::configuration::Addresses;

/// The run is right, but lines of its input are malformed.
const MALFORMED_INPUT: u8 = 3;

pub(crate) struct Summary<'a> {
    pub(crate) report: Report,
    pub(crate) plan: &'a Plan,
    pub(crate) latency: Option<Latency>,
    pub(crate) times: StageTimes,
}

impl Summary<'_> {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match (self.report.is_clean(), self.plan.malformed.is_empty()) {
            (true, true) => ExitCode::SUCCESS,
            (true, false) => ExitCode::from(MALFORMED_INPUT),
            (false, _) => ExitCode::FAILURE,
        }
    }

    /// Prints the JSON object, or the text, to stdout.
    #[expect(clippy::print_stdout, reason = "the summary is the command's output")]
    pub(crate) fn print(&self, arguments: &Arguments) -> Result<(), Failure> {
        if arguments.json {
            println!("{}", Value::Object(self.json()?));
        } else {
            print!("{}", self.text(arguments));
        }
        Ok(())
    }

    fn json(&self) -> Result<Map<String, Value>, Failure> {
        let mut object = match serde_json::to_value(&self.report)? {
            Value::Object(object) => object,
            other => return Err(format!("the checker's report is not an object but {other}").into()),
        };
        let check_seconds = object.insert("seconds".into(), json!(round(self.times.seconds)));
        object.insert("check_seconds".into(), check_seconds.unwrap_or_default());
        object.insert("append_to_row_ms".into(), serde_json::to_value(self.latency)?);
        object.insert("stages".into(), serde_json::to_value(self.times.stages)?);
        Ok(object)
    }

    fn text(&self, arguments: &Arguments) -> String {
        let Self { report, times, .. } = self;
        let mut text = String::from("\n");
        let mut line = |label: &str, value: String| text.push_str(&format!("{label:<12} {value}\n"));
        let stages = times.stages;
        line("", format!("{:>10} {:>10} {:>12}", "events", "seconds", "per second"));
        for (name, stage) in [
            ("commands", stages.fed),
            ("stored", stages.stored),
            ("relayed", stages.relayed),
            ("applied", stages.applied),
        ] {
            line(name, rate(stage));
        }
        line("", format!("{:.1} seconds from the first append to the last row", times.seconds));
        if let Some(latency) = self.latency {
            let Latency { p50, p99, max, events, rate } = latency;
            let measured = format!("{events} registrations at {rate} a second");
            line(
                "latency",
                format!("append to row p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms ({measured})"),
            );
        }
        text.push('\n');
        text.push_str(&format!("{report}\n"));
        for malformed in &self.plan.malformed {
            text.push_str(&format!("malformed: {malformed}\n"));
        }
        for unclear in &self.plan.not_understood {
            let (number, code, quantity) = (unclear.number, &unclear.code, unclear.quantity);
            text.push_str(&format!(
                "not understood: line {number}: {code}, quantity {quantity}, {}\n",
                unclear.price
            ));
        }
        if !arguments.keep && arguments.data.is_none() {
            text.push_str(
                "\nNext: look around while it runs, or keep the data\n    \
                 cargo run --release -- demo --keep\n    \
                 cargo run --release -- demo --data run --orders 300\n",
            );
        }
        text
    }

    /// The addresses of all parts, with commands to copy. Configured addresses may contain passwords, so they are not
    /// printed.
    pub(crate) fn print_urls(&self, addresses: &Addresses, given: &Configuration, services: &Services) {
        let Addresses { eventstore, brokers, registry, postgres } = addresses;
        // The parameters are those of the driver in Rust: psql refuses them.
        let postgres = &postgres.split('?').next().unwrap_or_default().to_owned();
        eprintln!();
        for (name, given, started) in [
            ("event store", &given.eventstore.url, eventstore),
            ("kafka", &given.kafka.brokers, brokers),
            ("registry", &given.registry.url, registry),
            ("postgres", &given.postgres.url, postgres),
        ] {
            eprintln!("{name:<14} {}", if given.is_some() { "as configured" } else { started });
        }
        for (name, url) in services.urls() {
            eprintln!("{name:<14} {url}");
        }
        let [.., (_, orders), _, _] = services.urls();
        eprintln!("\nLook around:");
        eprintln!("    curl {orders}/orders/536365");
        eprintln!("    curl '{orders}/revenue?day=2010-12-01'");
        eprintln!("    curl {orders}/metrics");
        let psql = if given.postgres.url.is_some() { "psql" } else { &format!("psql '{postgres}'") };
        eprintln!("    {psql} -c 'select * from shop.stock order by refused desc limit 5'");
        eprintln!("Ctrl-C ends everything.");
    }
}

fn rate(Stage { events, seconds }: Stage) -> String {
    let per_second = if seconds > 0.0 { format!("{:.0}", events as f64 / seconds) } else { "-".to_owned() };
    format!("{events:>10} {seconds:>10.1} {per_second:>12}")
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
