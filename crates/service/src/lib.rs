//! What every process of the product has, whatever it does: one configuration file with overrides from the
//! environment ([`config`]), logs and traces ([`telemetry`]), and an HTTP frame with health and metrics that
//! ends in order ([`http`], [`shutdown`]).
//!
//! ```no_run
//! use aqueduct_service::{Process, TelemetryOptions, config};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Options { telemetry: TelemetryOptions, listen: std::net::SocketAddr }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options: Options = config::load("aqueduct.toml".as_ref())?;
//! let process = Process::new("my-service", &options.telemetry)?;
//! let shutdown = process.shutdown();
//! let work = async { Ok::<_, std::io::Error>(shutdown.cancelled().await) };
//! process.run(options.listen, axum::Router::new(), work).await?;
//! # Ok(()) }
//! ```

pub mod config;
mod health;
pub mod http;
mod process;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use config::ConfigError;
pub use health::{Component, Health};
pub use process::{Process, ProcessError, announced};
pub use telemetry::{Telemetry, TelemetryOptions};
