//! What the demo is asked to do.

use std::path::PathBuf;
use std::str::FromStr;

/// Run the whole pipeline on this machine and feed a real shop's orders through it
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n    aqueduct demo --orders 300 --keep")]
pub(crate) struct Arguments {
    /// How many orders to feed: a number, or `all`
    #[arg(long, default_value_t = Orders::First(DEFAULT_ORDERS), value_name = "N|all")]
    pub(crate) orders: Orders,
    /// The file of orders, compressed with gzip or not [default: half a year of a real shop's]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Keep the data here; a run that was interrupted is resumed
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Stay up afterwards and print the URLs of all parts
    #[arg(long)]
    pub(crate) keep: bool,
}

/// So many that the run takes about half a minute on two cores.
const DEFAULT_ORDERS: usize = 1000;

/// How much of the file is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orders {
    First(usize),
    All,
}

impl Orders {
    pub(crate) fn limit(self) -> Option<usize> {
        match self {
            Self::First(orders) => Some(orders),
            Self::All => None,
        }
    }
}

impl FromStr for Orders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(orders @ 1..)) => Ok(Self::First(orders)),
            _ => Err("give a number from 1 on, or `all`".to_owned()),
        }
    }
}

impl std::fmt::Display for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First(orders) => orders.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}
