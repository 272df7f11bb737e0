//! What the supplier brought: the file does not say, a rule does.

use std::collections::BTreeMap;

use super::{Correction, Order};

/// The supplier forgets every so many-th pair of order and product.
const FORGOTTEN: u64 = 150;

/// By month and product: what the month's orders want, without the pairs that were forgotten, and what the
/// month's corrections take.
pub(super) fn of(
    orders: &[Order],
    corrections: &[Correction],
) -> BTreeMap<Box<str>, BTreeMap<Box<str>, i64>> {
    let mut deliveries: BTreeMap<Box<str>, BTreeMap<Box<str>, i64>> = BTreeMap::new();
    let mut bring = |month: &str, product: &str, quantity: i64| {
        *deliveries.entry(month.into()).or_default().entry(product.into()).or_insert(0) += quantity;
    };
    let mut pairs = 0;
    for order in orders {
        for (product, quantity) in &order.wanted {
            pairs += 1;
            if pairs % FORGOTTEN != 0 {
                bring(order.month(), product, *quantity);
            }
        }
    }
    for correction in corrections.iter().filter(|it| it.requested < 0) {
        bring(&correction.month, &correction.product, -correction.requested);
    }
    deliveries
}
