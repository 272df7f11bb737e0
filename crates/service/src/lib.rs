//! What every process of the product has, whatever it does: one configuration file with overrides from the
//! environment ([`config`]), logs and traces ([`telemetry`]), and an HTTP frame with health and metrics that
//! ends in order ([`http`], [`shutdown`]).
//!
//! ```no_run
//! use aqueduct_service::{Health, TelemetryOptions, config, http, shutdown, telemetry};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Options { telemetry: TelemetryOptions, listen: std::net::SocketAddr }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options: Options = config::load("aqueduct.toml".as_ref())?;
//! let telemetry = telemetry::init("my-service", &options.telemetry)?;
//! let health = Health::default();
//! let listener = http::bind(options.listen).await?;
//! http::serve(listener, axum::Router::new(), &telemetry, &health, shutdown::on_signal()?).await?;
//! # Ok(()) }
//! ```

pub mod config;
mod health;
pub mod http;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use config::ConfigError;
pub use health::{Component, Health};
pub use telemetry::{Telemetry, TelemetryOptions};
