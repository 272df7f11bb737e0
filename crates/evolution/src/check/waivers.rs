//! Findings that somebody decided to live with.

use crate::check::Input;
use crate::finding::{Affected, Finding, FindingName};
use crate::policy::{Policy, Waiver};

/// Marks the findings that have a waiver, and adds those about waivers.
pub(super) fn apply(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let mut about_waivers = Vec::new();
    for waiver in &input.policy.waivers {
        let mut waived: Vec<_> = findings.iter_mut().filter(|finding| covers(waiver, finding)).collect();
        let Waiver { finding, event, expires, reason, .. } = waiver;
        if *expires < input.today {
            let problem = format!("the waiver of {finding} for {event} ended on {expires}: {reason}");
            about_waivers.push(
                Finding::of_file(Policy::FILE, FindingName::WaiverExpired, problem)
                    .breaks(&[Affected::Maintainers])
                    .remedy(if waived.is_empty() {
                        "remove it: it waives nothing"
                    } else {
                        "decide again: mend what it waives, or set a new date"
                    }),
            );
        } else {
            waived.iter_mut().for_each(|finding| finding.waived = Some(reason.clone()));
        }
    }
    findings.extend(about_waivers);
}

fn covers(waiver: &Waiver, finding: &Finding) -> bool {
    waiver.finding == finding.name
        && finding.event_type.as_ref() == Some(&waiver.event)
        && (waiver.version.is_none() || waiver.version == finding.version)
}
