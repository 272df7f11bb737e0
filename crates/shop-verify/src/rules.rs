//! Which rule a line falls under: exactly one, the first that fits.

use std::collections::HashSet;

use crate::lines::{Entry, Line};

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rule {
    Malformed,
    Fee,
    Sample,
    NotUnderstood,
    Return,
    Credit,
    NothingToBook,
    StockCorrection,
    OrderLine,
    OrderCharge,
    FreeItem,
    StockFound,
}

impl Rule {
    pub(crate) const ALL: [Self; 12] = [
        Self::Malformed,
        Self::Fee,
        Self::Sample,
        Self::NotUnderstood,
        Self::Return,
        Self::Credit,
        Self::NothingToBook,
        Self::StockCorrection,
        Self::OrderLine,
        Self::OrderCharge,
        Self::FreeItem,
        Self::StockFound,
    ];

    /// The name under which lines are counted.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Fee => "fee",
            Self::Sample => "sample",
            Self::NotUnderstood => "not_understood",
            Self::Return => "return",
            Self::Credit => "credit",
            Self::NothingToBook => "nothing_to_book",
            Self::StockCorrection => "stock_correction",
            Self::OrderLine => "order_line",
            Self::OrderCharge => "order_charge",
            Self::FreeItem => "free_item",
            Self::StockFound => "stock_found",
        }
    }
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Product,
    Charge,
    Fee,
    Sample,
    Unknown,
}

fn code_of(product: &str) -> Code {
    let bytes = product.as_bytes();
    match product {
        "BANK CHARGES" | "AMAZONFEE" | "CRUK" | "B" => Code::Fee,
        "S" => Code::Sample,
        "POST" | "DOT" | "C2" | "M" | "D" => Code::Charge,
        "PADS" => Code::Product,
        _ if product.starts_with("GIFT_") => Code::Charge,
        _ if product.starts_with("DCGS") => Code::Product,
        _ if bytes.len() >= 5
            && bytes[..5].iter().all(u8::is_ascii_digit)
            && bytes[5..].iter().all(u8::is_ascii_uppercase) =>
        {
            Code::Product
        }
        _ => Code::Unknown,
    }
}

/// All digits and not empty.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the invoice is a return: `C` and digits.
pub(crate) fn is_return(invoice: &str) -> bool {
    invoice.strip_prefix('C').is_some_and(is_number)
}

/// The rule of a well-formed line, `Err` where a product at price zero waits for the question whether its
/// invoice is an order.
fn rule_of_line(line: &Line) -> Result<Rule, ProductAtPriceZero> {
    let returned = is_return(&line.invoice);
    let code = code_of(&line.product());
    let understood = (returned || is_number(&line.invoice))
        && code != Code::Unknown
        && line.quantity != 0
        && line.price >= 0
        && if returned { line.quantity < 0 } else { line.quantity > 0 || line.price == 0 };
    Ok(match code {
        Code::Fee => Rule::Fee,
        Code::Sample => Rule::Sample,
        _ if !understood => Rule::NotUnderstood,
        Code::Product if returned => Rule::Return,
        _ if returned => Rule::Credit,
        Code::Product if line.quantity < 0 => Rule::StockCorrection,
        Code::Product if line.price > 0 => Rule::OrderLine,
        Code::Product => return Err(ProductAtPriceZero),
        _ if line.price == 0 => Rule::NothingToBook,
        _ => Rule::OrderCharge,
    })
}

struct ProductAtPriceZero;

/// The rule of every line, in the order of lines.
pub(crate) fn rules(entries: &[Entry]) -> Vec<Rule> {
    let orders = order_invoices(entries);
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Malformed(..) => Rule::Malformed,
            Entry::Line(line) => rule_of_line(line).unwrap_or_else(|ProductAtPriceZero| {
                if orders.contains(&*line.invoice) { Rule::FreeItem } else { Rule::StockFound }
            }),
        })
        .collect()
}

/// The invoices that are orders: all digits, with a line that sells something at a price or gives a known
/// customer a product.
pub(crate) fn order_invoices(entries: &[Entry]) -> HashSet<&str> {
    entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Line(line) => Some(line),
            Entry::Malformed(..) => None,
        })
        .filter(|line| match rule_of_line(line) {
            Ok(rule) => matches!(rule, Rule::OrderLine | Rule::OrderCharge),
            Err(ProductAtPriceZero) => line.customer.is_some(),
        })
        .map(|line| &*line.invoice)
        .collect()
}

/// Cuts the input after the last line of the `orders`-th order invoice (in the order of their first lines).
pub(crate) fn cut(mut entries: Vec<Entry>, orders: usize) -> Vec<Entry> {
    let ids = order_invoices(&entries);
    let invoice = |entry: &Entry| match entry {
        Entry::Line(line) if ids.contains(&*line.invoice) => Some(line.invoice.clone()),
        _ => None,
    };
    let mut seen = HashSet::new();
    let mut nth = None;
    let mut end = 0;
    for (index, entry) in entries.iter().enumerate() {
        let Some(id) = invoice(entry) else { continue };
        if nth.is_none() && seen.insert(id.clone()) && seen.len() == orders {
            nth = Some(id.clone());
        }
        if nth.as_ref() == Some(&id) {
            end = index + 1;
        }
    }
    if nth.is_some() || orders == 0 {
        entries.truncate(end);
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lines::read;

    fn entries(lines: &[&str]) -> Vec<Entry> {
        let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
        let text = format!("{header}\n{}\n", lines.join("\n"));
        read(text.as_bytes(), Path::new("test.csv")).unwrap()
    }

    /// `invoice,code,quantity,price,customer`
    fn short(line: &str) -> String {
        let fields: Vec<_> = line.split(',').collect();
        let [invoice, code, quantity, price, customer] = fields[..] else { return line.to_owned() };
        format!("{invoice},{code},d,{quantity},2010-12-01 08:26:00,{price},{customer},UK")
    }

    #[test]
    fn each_line_falls_under_the_first_rule_that_fits() {
        let cases = [
            ("1,22423,x,2.5,", Rule::Malformed),
            ("C1,Bank Charges,-1,2.5,", Rule::Fee),
            ("A1,B,1,11062.06,", Rule::Fee),
            ("1,S,-1,2.5,", Rule::Sample),
            ("A1,22423,1,2.5,", Rule::NotUnderstood),
            ("C,22423,-1,2.5,", Rule::NotUnderstood),
            ("1,FOO,1,2.5,", Rule::NotUnderstood),
            ("1,2242,1,2.5,", Rule::NotUnderstood),
            ("1,22423A1,1,2.5,", Rule::NotUnderstood),
            ("1,22423,0,2.5,", Rule::NotUnderstood),
            ("1,22423,1,-2.5,", Rule::NotUnderstood),
            ("C1,22423,1,2.5,", Rule::NotUnderstood),
            ("1,22423,-1,2.5,", Rule::NotUnderstood),
            ("C1,22423,-1,0,", Rule::Return),
            ("C1,dcgs0003,-1,2.5,", Rule::Return),
            ("C1,D,-1,2.5,", Rule::Credit),
            ("1,POST,1,0,", Rule::NothingToBook),
            ("1,M,-1,0,", Rule::NothingToBook),
            ("1,22423,-1,0,", Rule::StockCorrection),
            ("1,pads,1,0.001,", Rule::OrderLine),
            ("1,84406b,1,0.5,", Rule::OrderLine),
            ("1,gift_0001_20,1,20,", Rule::OrderCharge),
            ("1,22423,1,0,17850", Rule::FreeItem),
            ("1,22423,1,0,", Rule::StockFound),
        ];
        for (line, rule) in cases {
            assert_eq!(rules(&entries(&[&short(line)])), [rule], "{line}");
        }
    }

    #[test]
    fn a_product_at_price_zero_leaves_the_shelf_with_an_order_only() {
        let lines = ["1,22423,1,0,", "1,22424,1,2.5,", "2,22423,1,0,", "2,S,1,2.5,", "3,22423,1,0,"];
        let lines: Vec<_> = lines.iter().map(|line| short(line)).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let rules = rules(&entries(&lines));
        assert_eq!(
            rules,
            [Rule::FreeItem, Rule::OrderLine, Rule::StockFound, Rule::Sample, Rule::StockFound]
        );
    }

    #[test]
    fn the_cut_is_after_the_last_line_of_the_nth_order() {
        let lines = [
            "1,22423,1,1,",
            "C9,22423,-1,1,",
            "2,22423,1,1,",
            "3,22423,1,1,",
            "2,22424,1,1,",
            "4,22423,1,1,",
        ];
        let lines: Vec<_> = lines.iter().map(|line| short(line)).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let all = entries(&lines);
        for (orders, left) in [(0, 0), (1, 1), (2, 5), (3, 4), (4, 6), (5, 6)] {
            assert_eq!(cut(all.clone(), orders).len(), left, "{orders} orders");
        }
    }
}
