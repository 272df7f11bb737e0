//! The adapter against devstore, over real sockets.

mod ends;
mod nodelay;
mod port;
mod proxy;
mod resubscribe;
mod server;
mod unreachable;
