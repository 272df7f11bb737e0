//! Ending in order.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a command that a signal ended: 128 + SIGINT, as a shell reports it.
pub const INTERRUPTED: u8 = 130;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second one ends the process at once.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match first {
                true => {
                    tracing::info!("stopping after the current work; signal again to stop immediately");
                    asked.cancel();
                }
                false => std::process::exit(INTERRUPTED.into()),
            }
        }
    });
    Ok(token)
}
