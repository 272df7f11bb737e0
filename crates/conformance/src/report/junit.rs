//! The report for CI systems.

use std::fmt;

use crate::report::{PropertyReport, Report, Verdict};

/// A report as JUnit XML: a test suite with a test case for each property.
#[derive(Debug)]
pub struct JunitXml<'a>(pub &'a Report);

impl fmt::Display for JunitXml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        let failures = report.properties.iter().filter(|it| it.verdict != Verdict::Passed).count();
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            f,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            Escaped(&report.program),
            report.properties.len(),
        )?;
        for PropertyReport { property, verdict, seconds, failure, .. } in &report.properties {
            write!(f, "  <testcase classname=\"consumer\" name=\"{property}\" time=\"{seconds:.3}\"")?;
            if *verdict == Verdict::Passed {
                writeln!(f, "/>")?;
                continue;
            }
            let problem = failure.as_ref().map_or("", |failure| &failure.problem);
            write!(f, "><failure type=\"{verdict}\" message=\"{}\">", Escaped(problem))?;
            if let Some(failure) = failure {
                write!(f, "{}", Escaped(&failure.to_string()))?;
            }
            writeln!(f, "</failure></testcase>")?;
        }
        if !report.not_tested.is_empty() {
            writeln!(f, "  <system-out>not tested: {}</system-out>", Escaped(&report.not_tested.join("; ")))?;
        }
        writeln!(f, "</testsuite>")
    }
}

/// Text within XML. Characters that XML cannot have are replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                    fmt::Write::write_char(f, character)?;
                }
                _ => f.write_str("\u{fffd}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::Property;
    use crate::report::Failure;

    #[test]
    fn a_failure_is_escaped() {
        let failure = Failure { problem: "a < \"b\" & \0".to_owned(), ..Failure::default() };
        let property = |verdict, failure| PropertyReport {
            property: Property::Gap,
            verdict,
            strikes: 1,
            seconds: 1.5,
            limitation: None,
            failure,
        };
        let report = Report {
            program: "python consumer.py".to_owned(),
            seed: 1,
            events: 2,
            tables: Vec::new(),
            excluded_columns: Vec::new(),
            not_tested: &["a wrong fold"],
            properties: vec![property(Verdict::Passed, None), property(Verdict::Failed, Some(failure))],
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuite name=\"python consumer.py\" tests=\"2\" failures=\"1\">\n  \
            <testcase classname=\"consumer\" name=\"gap\" time=\"1.500\"/>\n  \
            <testcase classname=\"consumer\" name=\"gap\" time=\"1.500\">\
            <failure type=\"failed\" message=\"a &lt; &quot;b&quot; &amp; \u{fffd}\">    \
            a &lt; &quot;b&quot; &amp; \u{fffd}</failure></testcase>\n  \
            <system-out>not tested: a wrong fold</system-out>\n</testsuite>\n";
        assert_eq!(JunitXml(&report).to_string(), expected);
    }
}
