//! What orders and returns have in common: lines of products, charges, and what they add up to.

use rust_decimal::Decimal;

use crate::amount;
use crate::events::Charge;
use crate::product::{product_code, quantities};
use crate::refusal::{InvalidField, check_id, check_length, check_price, check_quantity};

/// A line of products: code, description, quantity and unit price.
type Line<'a> = (&'a str, &'a str, i32, &'a mut Decimal);

/// Checks the field `lines` and the charges of the field `name`, gives their prices the form in which they are
/// stored, and returns the total. Only one of the two may be empty.
pub(super) fn check_goods<'a>(
    lines: impl Iterator<Item = Line<'a>>,
    name: &str,
    charges: &mut [Charge],
) -> Result<Decimal, InvalidField> {
    let (mut products, mut prices) = (Vec::new(), Vec::new());
    for (n, (sku, description, quantity, price)) in lines.enumerate() {
        check_id(&format!("lines[{n}].sku"), &product_code(sku))?;
        check_length(&format!("lines[{n}].description"), description)?;
        check_quantity(&format!("lines[{n}].quantity"), quantity)?;
        *price = check_price(&format!("lines[{n}].unitPrice"), *price)?;
        products.push((sku, quantity));
        prices.push((quantity, *price));
    }
    for (n, charge) in charges.iter_mut().enumerate() {
        check_length(&format!("{name}[{n}].code"), &charge.code)?;
        check_length(&format!("{name}[{n}].description"), &charge.description)?;
        check_quantity(&format!("{name}[{n}].quantity"), charge.quantity)?;
        charge.unit_price = check_price(&format!("{name}[{n}].unitPrice"), charge.unit_price)?;
        prices.push((charge.quantity, charge.unit_price));
    }
    if prices.is_empty() {
        return Err(InvalidField::new("lines", "must not be empty where nothing is charged or credited"));
    }
    quantities(products)
        .map_err(|_| InvalidField::new("lines", "must not add up to more than 2147483647 of a product"))?;
    amount::total(prices)
        .map_err(|_| InvalidField::new("lines", "must not cost more than fifteen digits can say"))
}
