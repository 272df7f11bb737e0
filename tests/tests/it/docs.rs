//! Pages that must agree with the code.

mod configuration;
mod links;
mod option_structs;
mod pages;
mod runbook;
mod tutorial;
