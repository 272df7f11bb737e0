//! How each kind of line is booked: the table in this crate's README, as code.

use rust_decimal::Decimal;
use serde::Serialize;

use super::line::Line;

/// What a line is. Every line falls under exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Product sold at a price: a line of the order.
    OrderLine,
    /// Product at price zero on an order: a line too, it leaves the shelf.
    FreeItem,
    /// Postage, carriage, manual charge or voucher on an order: money, no stock.
    OrderCharge,
    /// Product coming back.
    Return,
    /// Postage, discount or manual charge given back.
    Credit,
    /// Product written off.
    StockCorrection,
    /// Product that turned up.
    StockFound,
    /// The shop's own costs: bank, marketplace, bad debt.
    Fee,
    /// Given away to be looked at: a cost.
    Sample,
    /// A charge of nothing.
    NothingToBook,
    /// None of the above.
    NotUnderstood,
    /// Not of the file's form.
    Malformed,
}

impl Rule {
    /// All rules, in the order of the README's table.
    pub const ALL: [Self; 12] = [
        Self::OrderLine,
        Self::FreeItem,
        Self::OrderCharge,
        Self::Return,
        Self::Credit,
        Self::StockCorrection,
        Self::StockFound,
        Self::Fee,
        Self::Sample,
        Self::NothingToBook,
        Self::NotUnderstood,
        Self::Malformed,
    ];
}

/// What an invoice number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvoiceKind {
    /// Digits.
    Sale,
    /// `C` and digits: a cancellation in the shop's words, usually of earlier sales.
    Return,
    /// Anything else, such as the `A` of a ledger adjustment.
    Other,
}

pub(super) fn invoice_kind(invoice: &str) -> InvoiceKind {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match invoice.strip_prefix('C') {
        _ if digits(invoice) => InvoiceKind::Sale,
        Some(rest) if digits(rest) => InvoiceKind::Return,
        _ => InvoiceKind::Other,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeKind {
    Product,
    Charge,
    Fee,
    Sample,
    Unknown,
}

fn code_kind(code: &str) -> CodeKind {
    match code {
        "BANK CHARGES" | "AMAZONFEE" | "CRUK" | "B" => CodeKind::Fee,
        "S" => CodeKind::Sample,
        "POST" | "DOT" | "C2" | "M" | "D" => CodeKind::Charge,
        _ if code.starts_with("GIFT_") => CodeKind::Charge,
        "PADS" => CodeKind::Product,
        _ if code.starts_with("DCGS") => CodeKind::Product,
        _ => match code.split_at_checked(5) {
            Some((number, variant))
                if number.bytes().all(|byte| byte.is_ascii_digit())
                    && variant.bytes().all(|byte| byte.is_ascii_uppercase()) =>
            {
                CodeKind::Product
            }
            _ => CodeKind::Unknown,
        },
    }
}

/// Whether a line alone makes its invoice an order: it sells something, or gives a known customer a product.
pub(super) fn makes_an_order(line: &Line) -> bool {
    let sells = match code_kind(&line.code) {
        CodeKind::Product => line.price > Decimal::ZERO || (line.price.is_zero() && line.customer.is_some()),
        CodeKind::Charge => line.price > Decimal::ZERO,
        CodeKind::Fee | CodeKind::Sample | CodeKind::Unknown => false,
    };
    sells && line.quantity > 0 && invoice_kind(&line.invoice) == InvoiceKind::Sale
}

/// The rule for a line whose invoice is an order, or is none.
pub(super) fn rule(line: &Line, in_order: bool) -> Rule {
    let code = code_kind(&line.code);
    let invoice = invoice_kind(&line.invoice);
    let free = line.price.is_zero();
    match code {
        CodeKind::Fee => return Rule::Fee,
        CodeKind::Sample => return Rule::Sample,
        CodeKind::Unknown => return Rule::NotUnderstood,
        CodeKind::Product | CodeKind::Charge => {}
    }
    let product = code == CodeKind::Product;
    match invoice {
        InvoiceKind::Other => Rule::NotUnderstood,
        _ if line.quantity == 0 || line.price < Decimal::ZERO => Rule::NotUnderstood,
        InvoiceKind::Return if line.quantity > 0 => Rule::NotUnderstood,
        InvoiceKind::Return if product => Rule::Return,
        InvoiceKind::Return => Rule::Credit,
        InvoiceKind::Sale if !product && free => Rule::NothingToBook,
        InvoiceKind::Sale if line.quantity < 0 && free => Rule::StockCorrection,
        InvoiceKind::Sale if line.quantity < 0 => Rule::NotUnderstood,
        InvoiceKind::Sale if !product => Rule::OrderCharge,
        InvoiceKind::Sale if !free => Rule::OrderLine,
        InvoiceKind::Sale if in_order => Rule::FreeItem,
        InvoiceKind::Sale => Rule::StockFound,
    }
}
