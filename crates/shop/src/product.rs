//! Product codes.

use std::collections::BTreeMap;

/// The code under which a product is kept in stock: the shop's clerks typed codes in either case.
pub fn product_code(sku: &str) -> String {
    sku.trim().to_uppercase()
}

/// A product's quantities in one order or return add up to more than an `int` of the schema holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the quantities of product {sku} add up to more than 2147483647")]
pub struct QuantityOverflow {
    /// Code of the product.
    pub sku: String,
}

/// Quantity per product code, summed over the lines given.
pub fn quantities<'a>(
    lines: impl IntoIterator<Item = (&'a str, i32)>,
) -> Result<BTreeMap<String, i32>, QuantityOverflow> {
    let mut sums = BTreeMap::new();
    for (sku, quantity) in lines {
        let sum: &mut i32 = sums.entry(product_code(sku)).or_default();
        *sum = sum.checked_add(quantity).ok_or_else(|| QuantityOverflow { sku: product_code(sku) })?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_differ_in_case_are_one_product() {
        let sums = quantities([("15056n", 2), ("15056N ", 3), ("22423", 1)]).unwrap();
        assert_eq!(sums, BTreeMap::from([("15056N".into(), 5), ("22423".into(), 1)]));
    }

    #[test]
    fn a_sum_beyond_the_schema_is_an_error() {
        let error = quantities([("22423", i32::MAX), ("22423", 1)]).unwrap_err();
        assert_eq!(error, QuantityOverflow { sku: "22423".into() });
    }
}
