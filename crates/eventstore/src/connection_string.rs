//! Connection strings: what the client accepts, and what may be shown.

use std::borrow::Cow;

/// The schemes of KurrentDB's documentation and clients. They have the syntax of `esdb`, the only one that the
/// client knows.
const ALIASES: [&str; 3] = ["kurrentdb", "kurrent", "kdb"];

/// The connection string as the client takes it, with the adapter's default for `discoveryInterval`.
pub(crate) fn for_client(url: &str) -> String {
    with_discovery_interval(&with_clients_scheme(url))
}

/// The connection string as it may be shown: without user and password.
pub(crate) fn redact(url: &str) -> String {
    // The last @, wherever it is: a password may contain unescaped characters that belong elsewhere.
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        (None, Some((_, rest))) => format!("***@{rest}"),
        (_, None) => url.to_owned(),
    }
}

fn with_clients_scheme(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let scheme = scheme.to_ascii_lowercase();
    let (name, discover) = match scheme.strip_suffix("+discover") {
        Some(name) => (name, "+discover"),
        None => (scheme.as_str(), ""),
    };
    if ALIASES.contains(&name) { Cow::Owned(format!("esdb{discover}://{rest}")) } else { Cow::Borrowed(url) }
}

fn with_discovery_interval(url: &str) -> String {
    let (separator, given) = match url.split_once('?') {
        Some((_, query)) => ('&', query.to_ascii_lowercase().contains("discoveryinterval=")),
        None => ('?', false),
    };
    if given { url.to_owned() } else { format!("{url}{separator}discoveryInterval=1") }
}

#[cfg(test)]
mod tests {
    use eventstore::ClientSettings;

    use super::*;

    fn settings(url: &str) -> ClientSettings {
        for_client(url).parse().unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// KurrentDB's documentation and clients write `kurrentdb://` and the aliases `kurrent` and `kdb`.
    #[test]
    fn every_scheme_of_the_vendors_clients_is_accepted() {
        for scheme in ["esdb", "kurrentdb", "kurrent", "kdb", "KurrentDB"] {
            let node = settings(&format!("{scheme}://admin:changeit@host:2114?tls=false"));
            assert!(!node.is_dns_discovery_enabled() && !node.is_secure_mode_enabled(), "{scheme}");
            assert_eq!((node.hosts()[0].host.as_str(), node.hosts()[0].port), ("host", 2114), "{scheme}");
            assert_eq!(settings(&format!("{scheme}://a:1,b:2,c:3")).hosts().len(), 3, "{scheme}");
            assert!(
                settings(&format!("{scheme}+discover://cluster.example")).is_dns_discovery_enabled(),
                "{scheme}"
            );
        }
        for scheme in ["kurrentdbs", "kdb+srv", "http"] {
            assert!(
                for_client(&format!("{scheme}://host:2113")).parse::<ClientSettings>().is_err(),
                "{scheme}"
            );
        }
    }

    #[test]
    fn the_discovery_interval_is_short_unless_given() {
        for (url, milliseconds) in [
            ("esdb://host:2113", 1),
            ("esdb://host:2113?tls=false", 1),
            ("esdb://a:1,b:2?tls=false", 1),
            ("esdb://host?DiscoveryInterval=70", 70),
        ] {
            assert_eq!(settings(url).discovery_interval().as_millis(), milliseconds, "{url}");
        }
    }
}
