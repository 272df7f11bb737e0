//! The adapter against devstore, over real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod ends;
mod nodelay;
mod port;
mod proxy;
mod resubscribe;
mod server;
mod unreachable;
