//! Blocking work on a thread of its own.

use std::io;

use tokio::sync::oneshot;

/// Starts `work`. Unlike one of tokio's blocking tasks it does not keep an interrupted process from ending; the
/// receiver fails if it panics.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits for it any more: the command was interrupted or has failed elsewhere.
        let _unwanted = done.send(work());
    })?;
    Ok(result)
}
