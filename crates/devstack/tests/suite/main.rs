//! The stack as others use it: started, used through real clients, stopped, killed, started again.

mod parts;
mod wire;
