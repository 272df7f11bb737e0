//! One check of the shop: read the input, then compare stage by stage.

use std::time::Instant;

use aqueduct_verify::{Check, Report};

use crate::lines::InputError;
use crate::options::Options;
use crate::shop::Shop;

/// The input or one of the servers could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The input file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The event store, Kafka, the registry or Postgres.
    #[error(transparent)]
    Check(#[from] aqueduct_verify::CheckError),
    /// The thread that reads the input panicked.
    #[error("the thread that reads the input panicked")]
    Thread(#[from] tokio::task::JoinError),
}

/// Reads input, store, topics and Postgres and compares them. `Err` means that one of them could not be read;
/// differences are in the report.
pub async fn check(options: &Options) -> Result<Report, CheckError> {
    let (input, orders) = (options.input.clone(), options.orders);
    let begun = Instant::now();
    let shop = tokio::task::spawn_blocking(move || Shop::from_input(&input, orders)).await??;
    let mut report = Check::new(options.check.clone()).with_system(shop).run().await?;
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_input_is_reported_before_any_server_is_asked() {
        let nowhere = "http://127.0.0.1:9";
        let options = Options::new(nowhere, nowhere, nowhere, nowhere, "missing.csv".into());
        let error = check(&options).await.expect_err("there is no such file");
        assert_eq!(error.to_string(), "input missing.csv cannot be read");
    }
}
