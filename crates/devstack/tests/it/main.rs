//! The stack as others use it: started, used through real clients, stopped, killed, started again.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a helper fails the test")]
#![expect(clippy::print_stdout, reason = "how a test's other process talks to it")]

mod durability;
mod endings;
mod other_process;
mod parts;
mod refusals;
mod registry;
mod support;
