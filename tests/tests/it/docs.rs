//! Pages that must agree with the code.

mod configuration;
mod guarantees;
mod links;
mod option_structs;
mod pages;
mod runbook;
mod tutorial;
