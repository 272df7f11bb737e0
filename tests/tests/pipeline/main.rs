//! The whole product: its structure, and what runs end to end.

mod architecture;
