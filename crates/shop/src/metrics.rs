//! Names and help texts of the shop's own metrics.

use metrics::describe_counter;

/// Orders that met too little stock, counted once for each product.
pub const EMPTY_SHELVES: &str = "aqueduct_shop_empty_shelves_total";

/// Registers the help texts. Call it once the recorder is installed.
pub fn describe() {
    describe_counter!(EMPTY_SHELVES, "Orders that met too little stock, counted once for each product.");
}
