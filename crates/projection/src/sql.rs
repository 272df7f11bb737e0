//! Projections that are SQL files.

pub(crate) mod definition;
mod effects;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod handler;
pub(crate) mod lexer;
mod migrations;
pub(crate) mod statement;
mod statement_kind;
mod steps;
