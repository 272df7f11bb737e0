//! Projections that are SQL files.

pub(crate) mod definition;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod handler;
pub(crate) mod lexer;
mod migrations;
pub(crate) mod statement;
