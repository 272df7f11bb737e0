//! Noticing a blocking call that does not return.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Detects a thread that hangs in a call.
pub(crate) struct CallWatchdog {
    epoch: Instant,
    /// Milliseconds from the epoch to the start of the current call, plus one; 0 between calls.
    since: AtomicU64,
}

impl CallWatchdog {
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), since: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64 + 1
    }

    /// Reports that the current call makes progress.
    pub(crate) fn tick(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// Makes a call that may hang.
    pub(crate) fn during<T>(&self, call: impl FnOnce() -> T) -> T {
        self.since.store(self.now(), Ordering::Relaxed);
        let result = call();
        self.since.store(0, Ordering::Relaxed);
        result
    }

    /// Completes, with the seconds it has taken, when a call takes longer than the limit.
    pub(crate) async fn hung(&self, limit: Duration) -> u64 {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let since = self.since.load(Ordering::Relaxed);
            let taken = Duration::from_millis(self.now().saturating_sub(since));
            if since > 0 && taken > limit {
                return taken.as_secs();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_call_that_does_not_return_is_noticed() {
        let watchdog = Arc::new(CallWatchdog::new());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = {
            let watchdog = Arc::clone(&watchdog);
            std::thread::spawn(move || watchdog.during(|| released.recv()))
        };
        let hung = watchdog.hung(Duration::from_millis(1));
        tokio::time::timeout(Duration::from_secs(60), hung).await.expect("noticed in time");
        drop(release);
        thread.join().unwrap().unwrap_err();
        assert_eq!(watchdog.since.load(Ordering::Relaxed), 0, "between calls nothing hangs");
    }
}
