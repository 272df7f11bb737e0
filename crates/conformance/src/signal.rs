//! The signal that asks a consumer to stop.

use std::str::FromStr as _;

use nix::sys::signal::Signal;
use serde::{Deserialize as _, Deserializer};

pub(crate) fn default_stop_signal() -> Signal {
    Signal::SIGTERM
}

pub(crate) fn deserialize_signal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
    let name = String::deserialize(deserializer)?;
    Signal::from_str(&name)
        .map_err(|_| serde::de::Error::custom(format!("\"{name}\" is not a signal such as SIGTERM")))
}
