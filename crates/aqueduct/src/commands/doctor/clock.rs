//! The difference between a server's clock and this machine's.

use jiff::Timestamp;

use super::finding::Findings;

/// Time differences in reports and lags are wrong by as much; above this it is worth a warning.
const TOLERATED_SECONDS: f64 = 5.0;

/// Judges a server's time, which was read just now.
pub(super) fn check(area: &'static str, server: Option<Timestamp>, findings: &mut Findings) {
    let Some(server) = server else { return findings.unknown(area, "clock difference unknown") };
    let difference = (server.as_millisecond() - Timestamp::now().as_millisecond()) as f64 / 1000.0;
    if difference.abs() <= TOLERATED_SECONDS {
        findings.ok(area, "its clock agrees with this machine's");
    } else {
        let direction = if difference > 0.0 { "ahead of" } else { "behind" };
        findings.warning(
            area,
            format!("its clock is {:.0} s {direction} this machine's", difference.abs()),
            "synchronize the clocks (NTP): ages and lags in seconds are wrong by as much",
        );
    }
}

/// `Sun, 29 Nov 2026 01:40:00 GMT`
pub(super) fn from_http(date: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    // It has no fraction: half a second is the best guess.
    Timestamp::from_millisecond(time.as_millisecond() + 500).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_a_warning_with_its_direction() {
        let finding_for = |seconds: i64| {
            let server =
                Timestamp::from_millisecond(Timestamp::now().as_millisecond() + seconds * 1000).unwrap();
            let mut findings = Findings::default();
            check("postgres", Some(server), &mut findings);
            findings.into_vec().remove(0).finding
        };
        assert_eq!(finding_for(1), "its clock agrees with this machine's");
        assert!(finding_for(100).ends_with("s ahead of this machine's"), "{}", finding_for(100));
        assert!(finding_for(-100).ends_with("s behind this machine's"), "{}", finding_for(-100));
    }

    #[test]
    fn the_date_of_an_http_answer_is_read() {
        let time = from_http("Sun, 29 Nov 2026 01:40:00 GMT").unwrap();
        assert_eq!(time.to_string(), "2026-11-29T01:40:00.5Z");
        assert_eq!(from_http("yesterday"), None);
    }
}
