//! The adapter against devstore and scripted servers, over real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod ends;
mod flow_control;
mod nodelay;
mod port;
mod resubscribe;
mod support;
mod transaction;
mod unreachable;
