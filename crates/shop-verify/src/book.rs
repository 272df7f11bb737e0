//! What the shop must have booked, from the input alone.

mod deliveries;
mod returns;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::lines::{Entry, InputError, Line, read_file};
use crate::rules::{Rule, cut, is_return, order_invoices, rules};

/// An amount in 10^-5 pounds, which is a thousandth of a penny: prices have up to five places, and nothing is
/// rounded.
pub(crate) type Money = i128;

/// All that follows from the input whichever way the orders race.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Lines by rule; every rule is there.
    pub lines: BTreeMap<&'static str, u64>,
    /// Line number and field of what cannot be read.
    pub malformed: Vec<(u64, &'static str)>,
    pub customers: HashMap<Box<str>, Customer>,
    /// In the order of their first lines.
    pub orders: Vec<Order>,
    /// In the order of their first lines.
    pub returns: Vec<Return>,
    pub corrections: Vec<Correction>,
    /// What is delivered, by month (`2010-12`) and product.
    pub deliveries: BTreeMap<Box<str>, BTreeMap<Box<str>, i64>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Customer {
    pub country: Box<str>,
    pub registered_at: Box<str>,
}

/// A line of an order or a return.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// As written in the file.
    pub code: Box<str>,
    /// In upper case: the name of the shelf.
    pub product: Box<str>,
    pub description: Box<str>,
    /// Positive also where it came back.
    pub quantity: i64,
    /// Price of one.
    pub price: i64,
}

impl Item {
    fn of(line: &Line) -> Self {
        Self {
            code: line.code.clone(),
            product: line.product().into(),
            description: line.description.clone(),
            quantity: i64::from(line.quantity).abs(),
            price: line.price,
        }
    }

    pub(crate) fn amount(&self) -> Money {
        Money::from(self.quantity) * Money::from(self.price)
    }
}

pub(crate) fn total<'a>(items: impl IntoIterator<Item = &'a Item>) -> Money {
    items.into_iter().map(Item::amount).sum()
}

/// Quantities by product.
pub(crate) fn by_product(items: &[Item]) -> BTreeMap<Box<str>, i64> {
    let mut sums = BTreeMap::new();
    for item in items {
        *sums.entry(item.product.clone()).or_insert(0) += item.quantity;
    }
    sums
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub id: Box<str>,
    pub customer: Option<Box<str>>,
    /// `2010-12-01 08:26:00`
    pub at: Box<str>,
    pub country: Box<str>,
    pub lines: Vec<Item>,
    pub charges: Vec<Item>,
    /// What it wants of each product.
    pub wanted: BTreeMap<Box<str>, i64>,
    /// Index of its first line in the input.
    pub first_line: usize,
    /// Whether the old orders service took it: stored as version 1.
    pub old: bool,
    /// The returns that undo it wholly.
    pub undone_by: Vec<Box<str>>,
}

impl Order {
    pub(crate) fn day(&self) -> &str {
        &self.at[..10]
    }

    pub(crate) fn month(&self) -> &str {
        &self.at[..7]
    }

    pub(crate) fn total(&self) -> Money {
        total(&self.lines) + total(&self.charges)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Return {
    /// With its `C`.
    pub id: Box<str>,
    pub customer: Option<Box<str>>,
    pub at: Box<str>,
    pub country: Box<str>,
    /// Each with the order it is linked to.
    pub lines: Vec<(Item, Option<Box<str>>)>,
    pub credits: Vec<Item>,
    /// What goes back to the shelves.
    pub goods: BTreeMap<Box<str>, i64>,
    /// Index of its first line in the input.
    pub first_line: usize,
    /// The order it undoes wholly.
    pub undoes: Option<Box<str>>,
}

impl Return {
    pub(crate) fn day(&self) -> &str {
        &self.at[..10]
    }

    pub(crate) fn total(&self) -> Money {
        total(self.lines.iter().map(|(item, _)| item)) + total(&self.credits)
    }
}

/// A line that says what the shelf holds more or less than was thought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Correction {
    /// Number of the line in the file.
    pub line: u64,
    pub product: Box<str>,
    pub invoice: Box<str>,
    /// That of the invoice's first line.
    pub month: Box<str>,
    pub requested: i64,
}

impl Book {
    /// Reads the file, up to the last line of the `orders`-th order.
    pub(crate) fn read(path: &Path, orders: Option<usize>) -> Result<Self, InputError> {
        let entries = read_file(path)?;
        Ok(Self::of(match orders {
            Some(orders) => cut(entries, orders),
            None => entries,
        }))
    }

    /// Applies the rules to the lines.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let mut book =
            Self { lines: Rule::ALL.iter().map(|rule| (rule.name(), 0)).collect(), ..Self::default() };
        let rules = rules(&entries);
        let is_order = order_invoices(&entries);
        let (mut orders, mut returns) = (HashMap::new(), HashMap::new());
        let mut months: HashMap<&str, &str> = HashMap::new();
        for (index, (entry, rule)) in entries.iter().zip(&rules).enumerate() {
            *book.lines.entry(rule.name()).or_insert(0) += 1;
            let line = match entry {
                Entry::Line(line) => line,
                Entry::Malformed(number, field) => {
                    book.malformed.push((*number, field));
                    continue;
                }
            };
            if let Some(id) = &line.customer
                && !book.customers.contains_key(id)
            {
                let (country, registered_at) = (line.country.clone(), line.at.clone());
                book.customers.insert(id.clone(), Customer { country, registered_at });
            }
            if is_order.contains(&*line.invoice) && !orders.contains_key(&*line.invoice) {
                orders.insert(&*line.invoice, book.orders.len());
                book.orders.push(Order::opened_by(line, index));
            }
            // Returns get their place here too, and those without a line to book are dropped at the end.
            if is_return(&line.invoice) && !returns.contains_key(&*line.invoice) {
                returns.insert(&*line.invoice, book.returns.len());
                book.returns.push(Return::opened_by(line, index));
            }
            let month = *months.entry(&line.invoice).or_insert(&line.at[..7]);
            let item = Item::of(line);
            match rule {
                Rule::OrderLine | Rule::FreeItem => book.orders[orders[&*line.invoice]].lines.push(item),
                Rule::OrderCharge => book.orders[orders[&*line.invoice]].charges.push(item),
                Rule::Return => book.returns[returns[&*line.invoice]].lines.push((item, None)),
                Rule::Credit => book.returns[returns[&*line.invoice]].credits.push(item),
                Rule::StockCorrection | Rule::StockFound => book.corrections.push(Correction {
                    line: line.number,
                    product: item.product,
                    invoice: line.invoice.clone(),
                    month: month.into(),
                    requested: line.quantity.into(),
                }),
                Rule::Malformed | Rule::Fee | Rule::Sample | Rule::NotUnderstood | Rule::NothingToBook => {}
            }
        }
        book.returns.retain(|it| !it.lines.is_empty() || !it.credits.is_empty());
        let old = book.orders.len().div_ceil(3);
        for (index, order) in book.orders.iter_mut().enumerate() {
            order.wanted = by_product(&order.lines);
            order.old = index < old;
        }
        returns::link(&mut book.returns, &mut book.orders);
        book.deliveries = deliveries::of(&book.orders, &book.corrections);
        book
    }
}

impl Order {
    fn opened_by(line: &Line, first_line: usize) -> Self {
        Self {
            id: line.invoice.clone(),
            customer: line.customer.clone(),
            at: line.at.clone(),
            country: line.country.clone(),
            lines: Vec::new(),
            charges: Vec::new(),
            wanted: BTreeMap::new(),
            first_line,
            old: false,
            undone_by: Vec::new(),
        }
    }
}

impl Return {
    fn opened_by(line: &Line, first_line: usize) -> Self {
        Self {
            id: line.invoice.clone(),
            customer: line.customer.clone(),
            at: line.at.clone(),
            country: line.country.clone(),
            lines: Vec::new(),
            credits: Vec::new(),
            goods: BTreeMap::new(),
            first_line,
            undoes: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::read;

    fn real(orders: Option<usize>) -> Book {
        let file = "../../tests/data/online-retail/orders-2010-12-to-2011-06.csv.gz";
        Book::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), orders).unwrap()
    }

    fn made_up(lines: &[&str]) -> Book {
        let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
        let text = format!("{header}\n{}\n", lines.join("\n"));
        Book::of(read(text.as_bytes(), Path::new("made up")).unwrap())
    }

    #[test]
    fn an_invoice_belongs_to_the_month_of_its_first_line() {
        let book = made_up(&[
            "1,S,SAMPLES,1,2010-12-31 23:59:00,1,,UK",
            "1,22423,damaged,-3,2011-01-01 00:01:00,0,,UK",
            "2,22423,damaged,-5,2011-01-01 00:02:00,0,,UK",
        ]);
        let brought = |month: &str| book.deliveries[month].get("22423").copied();
        assert_eq!((brought("2010-12"), brought("2011-01")), (Some(3), Some(5)));
    }

    #[test]
    fn every_line_is_counted_under_one_rule() {
        let book = made_up(&[
            "1,22423,\"WHITE HANGING,6,2010-12-01 08:26:00,2.55,17850,UK",
            "2,22423,CAKESTAND,6,2010-12-01 08:26:00,2.55,17850,UK",
            "3,22423,\"WHITE\",6,2010-12-01 08:26:00,2.55,17850,UK",
        ]);
        assert_eq!((book.lines["malformed"], book.lines["order_line"]), (1, 2));
        assert_eq!((book.lines.values().sum::<u64>(), book.orders.len()), (3, 2));
    }

    #[test]
    fn the_real_file_is_understood_line_by_line() {
        let book = real(None);
        let counts = [
            ("malformed", 0),
            ("fee", 38),
            ("sample", 50),
            ("not_understood", 0),
            ("return", 4_195),
            ("credit", 218),
            ("nothing_to_book", 5),
            ("stock_correction", 758),
            ("order_line", 238_743),
            ("order_charge", 1_181),
            ("free_item", 343),
            ("stock_found", 372),
        ];
        assert_eq!(book.lines, counts.into());
        assert_eq!(book.lines.values().sum::<u64>(), 245_903);
        assert_eq!((book.orders.len(), book.customers.len()), (9_653, 3_002));
        assert_eq!(book.returns.iter().filter(|it| !it.lines.is_empty()).count(), 1_806);
        assert_eq!(book.returns.iter().filter(|it| it.undoes.is_some()).count(), 53);
        // Pence with three places, as the script in the README counts them.
        assert_eq!(book.orders.iter().map(Order::total).sum::<Money>(), 481_261_540_100);
        assert_eq!(book.returns.iter().map(Return::total).sum::<Money>(), 29_007_457_000);
    }
}
