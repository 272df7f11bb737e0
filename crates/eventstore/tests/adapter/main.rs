//! The adapter against devstore, over real sockets.

mod nodelay;
mod port;
mod proxy;
mod resubscribe;
mod server;
mod unending;
mod unreachable;
