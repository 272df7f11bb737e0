//! Projections that are SQL files.

mod check;
mod columns;
pub(crate) mod definition;
mod effects;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod examples;
mod fields;
pub(crate) mod handler;
pub(crate) mod lexer;
mod migrations;
mod part;
mod paths;
mod pins;
mod plan;
mod proof;
pub(crate) mod statement;
mod statement_error;
mod statement_kind;
mod steps;
mod token_view;
mod type_entry;
mod update;
mod written;
