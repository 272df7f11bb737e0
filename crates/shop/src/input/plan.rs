//! From lines to what is asked of the services.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rust_decimal::Decimal;

use super::line::{Line, Malformed};
use super::rules::{InvoiceKind, Rule, invoice_kind, makes_an_order, rule};
use crate::events::{Charge, Currency, OrderLine, ReturnLine};
use crate::orders::{CreateOrder, RegisterReturn};
use crate::users::RegisterUser;

/// Every so-many-th pair of order and product is forgotten by the supplier: about one order in twenty meets
/// an empty shelf, whichever way the orders race.
const FORGOTTEN: u64 = 150;
/// One part in so many of the orders was written by the old version of the orders service.
const LEGACY_PART: usize = 3;

/// What the file asks of the services, in its order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The calendar months, as they begin in the file.
    pub months: Vec<Month>,
    /// How many lines fell under each rule.
    pub lines: BTreeMap<Rule, u64>,
    /// The lines that are not of the file's form.
    pub malformed: Vec<Malformed>,
    /// The lines that no rule understands.
    pub not_understood: Vec<Line>,
    /// How many invoices are orders.
    pub orders: usize,
}

/// A month: its deliveries come before its orders.
#[derive(Debug, Default, PartialEq)]
pub struct Month {
    /// What the supplier brings.
    pub deliveries: Vec<Delivery>,
    /// What happens in the shop.
    pub steps: Vec<Step>,
}

/// One product on the month's lorry.
#[derive(Debug, PartialEq)]
pub struct Delivery {
    /// `2010-12/85123A`.
    pub id: String,
    /// Stock code of the product.
    pub sku: String,
    /// Pieces.
    pub quantity: i32,
}

/// Something that happens in the shop.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A customer is seen for the first time.
    Register(RegisterUser),
    /// An invoice that is an order.
    Order {
        /// What is ordered.
        order: CreateOrder,
        /// Whether the old version of the orders service takes it.
        legacy: bool,
    },
    /// A `C` invoice.
    Return(RegisterReturn),
    /// A product written off, or found.
    Correct {
        /// The invoice it stands on.
        invoice: String,
        /// The line it stands on: an invoice may correct a product twice.
        line: u64,
        /// Stock code of the product.
        sku: String,
        /// Pieces, negative for what is written off.
        quantity: i32,
    },
}

impl Plan {
    /// Applies the rules to the lines up to the last one of the `orders`-th order (to all with `None`).
    pub fn make(lines: Vec<Result<Line, Malformed>>, orders: Option<usize>) -> Self {
        let lines = cut(lines, orders);
        let selling = selling_invoices(lines.iter().flatten());
        let mut plan = Self { orders: selling.len(), ..Self::default() };
        let mut invoices = Invoices::default();
        let mut newcomers = HashMap::new();
        for line in lines {
            let rule = match line {
                Ok(line) => {
                    if let Some(customer) = &line.customer {
                        newcomers.entry(customer.clone()).or_insert_with(|| newcomer(customer, &line));
                    }
                    let rule = rule(&line, selling.contains(&line.invoice));
                    if rule == Rule::NotUnderstood {
                        plan.not_understood.push(line.clone());
                    }
                    invoices.add(line, rule);
                    rule
                }
                Err(malformed) => {
                    plan.malformed.push(malformed);
                    Rule::Malformed
                }
            };
            *plan.lines.entry(rule).or_default() += 1;
        }
        plan.months = Builder::new(plan.orders, newcomers).months(invoices);
        plan
    }

    /// Number of requests of each kind, for progress: deliveries and steps.
    pub fn len(&self) -> usize {
        self.months.iter().map(|month| month.deliveries.len() + month.steps.len()).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn selling_invoices<'a>(lines: impl Iterator<Item = &'a Line>) -> HashSet<String> {
    lines.filter(|line| makes_an_order(line)).map(|line| line.invoice.clone()).collect()
}

fn cut(mut lines: Vec<Result<Line, Malformed>>, orders: Option<usize>) -> Vec<Result<Line, Malformed>> {
    let Some(orders) = orders else { return lines };
    let selling = selling_invoices(lines.iter().flatten());
    let mut seen = HashSet::new();
    let mut firsts = lines.iter().flatten().map(|line| &line.invoice).filter(|it| selling.contains(*it));
    let Some(nth) = firsts.find(|invoice| seen.insert(*invoice) && seen.len() == orders) else {
        return lines;
    };
    let of_nth = |line: &Result<Line, Malformed>| line.as_ref().is_ok_and(|line| line.invoice == *nth);
    let end = lines.iter().rposition(of_nth).map_or(0, |place| place + 1);
    lines.truncate(end);
    lines
}

/// The lines of each invoice, in the order of their first lines: an invoice's lines need not stand together.
#[derive(Default)]
struct Invoices {
    places: HashMap<String, usize>,
    invoices: Vec<Vec<(Line, Rule)>>,
}

impl Invoices {
    fn add(&mut self, line: Line, rule: Rule) {
        let place = *self.places.entry(line.invoice.clone()).or_insert(self.invoices.len());
        if place == self.invoices.len() {
            self.invoices.push(Vec::new());
        }
        self.invoices[place].push((line, rule));
    }
}

/// Pieces per product.
type Pieces = BTreeMap<String, i64>;

/// What must be remembered from invoice to invoice.
struct Builder {
    legacy: usize,
    orders: usize,
    pairs: u64,
    /// Customers that are not registered yet.
    newcomers: HashMap<String, RegisterUser>,
    /// Per customer the orders so far with the pieces of each product, oldest first.
    bought: HashMap<String, Vec<(String, Pieces)>>,
}

impl Builder {
    fn new(orders: usize, newcomers: HashMap<String, RegisterUser>) -> Self {
        Self { legacy: orders.div_ceil(LEGACY_PART), orders: 0, pairs: 0, newcomers, bought: HashMap::new() }
    }

    fn months(mut self, invoices: Invoices) -> Vec<Month> {
        let mut places: HashMap<(i16, i8), usize> = HashMap::new();
        let mut months: Vec<(String, Month, BTreeMap<String, u64>)> = Vec::new();
        for invoice in invoices.invoices {
            let Some((first, _)) = invoice.first() else { continue };
            let at = first.at;
            let place = *places.entry((at.year(), at.month())).or_insert(months.len());
            if place == months.len() {
                months.push((at.strftime("%Y-%m").to_string(), Month::default(), BTreeMap::new()));
            }
            let (_, month, needed) = &mut months[place];
            self.invoice(invoice, &mut month.steps, needed);
        }
        let delivered = |(name, mut month, needed): (String, Month, BTreeMap<String, u64>)| {
            month.deliveries = needed
                .into_iter()
                .map(|(sku, quantity)| Delivery {
                    id: format!("{name}/{sku}"),
                    sku,
                    // A month of one product beyond 32 bits of pieces is no shop's; what does not fit on the
                    // lorry meets an empty shelf.
                    quantity: i32::try_from(quantity).unwrap_or(i32::MAX),
                })
                .collect();
            month
        };
        months.into_iter().map(delivered).collect()
    }

    fn invoice(
        &mut self,
        lines: Vec<(Line, Rule)>,
        steps: &mut Vec<Step>,
        needed: &mut BTreeMap<String, u64>,
    ) {
        let Some((first, _)) = lines.first() else { return };
        let first = first.clone();
        self.register(&lines, steps);
        let (mut sold, mut charged, mut returned, mut credited) = (vec![], vec![], vec![], vec![]);
        for (line, rule) in lines {
            match rule {
                Rule::OrderLine | Rule::FreeItem => sold.push(sold_line(line)),
                Rule::OrderCharge => charged.push(charge(line)),
                Rule::Return => returned.push(line),
                Rule::Credit => credited.push(charge(line)),
                Rule::StockCorrection | Rule::StockFound => {
                    if let Ok(taken @ 1..) = u64::try_from(-i64::from(line.quantity)) {
                        *needed.entry(line.code.clone()).or_default() += taken;
                    }
                    steps.push(Step::Correct {
                        invoice: line.invoice,
                        line: line.number,
                        sku: line.code,
                        quantity: line.quantity,
                    });
                }
                Rule::Fee | Rule::Sample | Rule::NothingToBook | Rule::NotUnderstood | Rule::Malformed => {}
            }
        }
        match invoice_kind(&first.invoice) {
            InvoiceKind::Sale if !sold.is_empty() || !charged.is_empty() => {
                steps.push(self.order(first, sold, charged, needed));
            }
            InvoiceKind::Return if !returned.is_empty() || !credited.is_empty() => {
                steps.push(Step::Return(self.goods_back(first, returned, credited)));
            }
            InvoiceKind::Sale | InvoiceKind::Return | InvoiceKind::Other => {}
        }
    }

    fn register(&mut self, lines: &[(Line, Rule)], steps: &mut Vec<Step>) {
        let customers = lines.iter().filter_map(|(line, _)| line.customer.as_ref());
        steps.extend(customers.filter_map(|customer| self.newcomers.remove(customer)).map(Step::Register));
    }

    fn order(
        &mut self,
        first: Line,
        lines: Vec<OrderLine>,
        charges: Vec<Charge>,
        needed: &mut BTreeMap<String, u64>,
    ) -> Step {
        let pieces = pieces(lines.iter().map(|line| (&line.sku, line.quantity)));
        for (sku, quantity) in &pieces {
            self.pairs += 1;
            if !self.pairs.is_multiple_of(FORGOTTEN) {
                *needed.entry(sku.clone()).or_default() += quantity.unsigned_abs();
            }
        }
        if let Some(customer) = &first.customer {
            self.bought.entry(customer.clone()).or_default().push((first.invoice.clone(), pieces));
        }
        self.orders += 1;
        let order = CreateOrder {
            order_id: first.invoice,
            customer_id: first.customer,
            placed_at: first.at,
            country: first.country,
            currency: Currency::Gbp,
            lines,
            charges,
        };
        Step::Order { order, legacy: self.orders <= self.legacy }
    }

    fn goods_back(&self, first: Line, returned: Vec<Line>, credits: Vec<Charge>) -> RegisterReturn {
        let lines: Vec<_> = returned.into_iter().map(|line| self.linked(line)).collect();
        let linked: BTreeSet<_> = lines.iter().map(|line| &line.order_id).collect();
        let undoes = match linked.first() {
            Some(Some(order)) if linked.len() == 1 => {
                let back = pieces(lines.iter().map(|line| (&line.sku, line.quantity)));
                let ordered = self.orders_of(&first.customer).find(|(id, _)| id == order);
                ordered.filter(|(_, ordered)| *ordered == back).map(|(id, _)| id.clone())
            }
            _ => None,
        };
        RegisterReturn {
            return_id: first.invoice,
            customer_id: first.customer,
            received_at: first.at,
            country: first.country,
            currency: Currency::Gbp,
            lines,
            credits,
            undoes,
        }
    }

    /// The line with the customer's latest earlier order that holds as much of the product.
    fn linked(&self, line: Line) -> ReturnLine {
        let quantity = line.quantity.abs();
        let mut orders = self.orders_of(&line.customer).rev();
        let holds = |pieces: &Pieces| pieces.get(&line.code).is_some_and(|held| *held >= i64::from(quantity));
        let order_id = orders.find(|(_, pieces)| holds(pieces)).map(|(id, _)| id.clone());
        ReturnLine {
            sku: line.stock_code,
            description: line.description,
            quantity,
            unit_price: minor_units(line.price),
            order_id,
        }
    }

    fn orders_of(&self, customer: &Option<String>) -> impl DoubleEndedIterator<Item = &(String, Pieces)> {
        customer.as_ref().and_then(|customer| self.bought.get(customer)).into_iter().flatten()
    }
}

/// A customer as on the first line of the file that names it, whichever invoice that is on.
fn newcomer(customer: &str, line: &Line) -> RegisterUser {
    RegisterUser { user_id: customer.to_owned(), country: line.country.clone(), registered_at: line.at }
}

fn sold_line(line: Line) -> OrderLine {
    OrderLine {
        sku: line.stock_code,
        description: line.description,
        quantity: line.quantity,
        unit_price: minor_units(line.price),
    }
}

fn charge(line: Line) -> Charge {
    Charge {
        code: line.stock_code,
        description: line.description,
        quantity: line.quantity.abs(),
        unit_price: minor_units(line.price),
    }
}

/// Pounds to pence, exactly: a price has at most five places, so minor units have at most three.
fn minor_units(pounds: Decimal) -> Decimal {
    pounds * Decimal::ONE_HUNDRED
}

fn pieces<'a>(lines: impl Iterator<Item = (&'a String, i32)>) -> Pieces {
    let mut pieces = Pieces::new();
    for (sku, quantity) in lines {
        *pieces.entry(sku.to_uppercase()).or_default() += i64::from(quantity);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::line::read;
    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    /// Each line as `invoice,code,quantity,price,customer`, all on one day in France.
    fn plan(lines: &str, orders: Option<usize>) -> Plan {
        let mut csv = HEADER.to_owned();
        for line in lines.split_whitespace() {
            let [invoice, code, quantity, price, customer] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("five fields, not {line}");
            };
            csv +=
                &format!("{invoice},{code},TEXT,{quantity},2010-12-01 08:26:00,{price},{customer},France\n");
        }
        Plan::make(read(csv.as_bytes()).unwrap(), orders)
    }

    fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
        plan.months.iter().flat_map(|month| &month.steps)
    }

    fn returns(plan: &Plan) -> Vec<&RegisterReturn> {
        steps(plan).filter_map(|step| if let Step::Return(back) = step { Some(back) } else { None }).collect()
    }

    fn rules(plan: &Plan) -> Vec<(Rule, u64)> {
        plan.lines.iter().map(|(rule, count)| (*rule, *count)).collect()
    }

    #[test]
    fn every_rule_has_its_lines() {
        let plan = plan(
            "1,85123a,6,2.55,17850 1,22423,1,0,17850 1,POST,1,18,17850 1,M,1,0,17850
             C2,85123A,-6,2.55,17850 C2,D,-1,27.5,17850
             3,22423,-5,0, 4,22423,7,0, 5,AMAZONFEE,1,10, C6,S,-1,12.95, A7,B,1,-11062.06,
             8,TEST1,1,2, 9,22423,-1,2, C10,22423,1,2, 11,22423,0,2,",
            None,
        );
        let expected = [
            (Rule::OrderLine, 1),
            (Rule::FreeItem, 1),
            (Rule::OrderCharge, 1),
            (Rule::Return, 1),
            (Rule::Credit, 1),
            (Rule::StockCorrection, 1),
            (Rule::StockFound, 1),
            (Rule::Fee, 2),
            (Rule::Sample, 1),
            (Rule::NothingToBook, 1),
            (Rule::NotUnderstood, 4),
        ];
        assert_eq!(rules(&plan), expected);
        assert_eq!(plan.orders, 1);
    }

    #[test]
    fn a_return_is_linked_to_the_latest_order_that_holds_as_much() {
        let plan = plan(
            "1,22423,10,1,7 2,22423,5,1,7 3,22423,2,1,7
             C4,22423,-5,1,7 C5,22423,-11,1,7 C6,22423,-1,1, C7,22423,-10,1,7",
            None,
        );
        let links: Vec<_> = returns(&plan).iter().map(|back| back.lines[0].order_id.as_deref()).collect();
        assert_eq!(links, [Some("2"), None, None, Some("1")]);
        let undone: Vec<_> = returns(&plan).iter().map(|back| back.undoes.as_deref()).collect();
        assert_eq!(undone, [Some("2"), None, None, Some("1")]);
    }

    #[test]
    fn only_the_whole_of_an_order_undoes_it() {
        let plan = plan(
            "1,22423,10,1,7 1,22424,1,1,7 1,POST,1,5,7
             C2,22423,-10,1,7 C3,22423,-4,1,7 C3,22423,-6,1,7 C3,22424,-1,1,7",
            None,
        );
        let undone: Vec<_> = returns(&plan).iter().map(|back| back.undoes.as_deref()).collect();
        assert_eq!(undone, [None, Some("1")]);
    }

    #[test]
    fn the_cut_ends_with_the_last_line_of_the_nth_order() {
        let lines = "1,22423,1,1,7 C2,22423,-1,1,7 3,22423,1,1,7 4,22423,-1,0, 3,22424,1,1,7 5,22423,1,1,7";
        assert_eq!(plan(lines, Some(2)).lines.values().sum::<u64>(), 5);
        assert_eq!(plan(lines, Some(3)).lines.values().sum::<u64>(), 6);
        assert_eq!(plan(lines, Some(9)).lines.values().sum::<u64>(), 6);
        assert_eq!(plan(lines, Some(2)).orders, 2);
        let mixed = "1,22423,1,1,7 2,22423,1,1,7 1,22424,1,1,7";
        assert_eq!(
            plan(mixed, Some(2)).lines.values().sum::<u64>(),
            2,
            "the first order's later line is cut off"
        );
    }

    #[test]
    fn a_customer_is_registered_as_first_seen_though_invoices_are_mixed() {
        let line = |invoice: &str, minute: u8, customer: &str| {
            format!("{invoice},22423,TEXT,1,2010-12-01 08:{minute:02}:00,1,{customer},France\n")
        };
        let csv = [HEADER, &line("1", 0, ""), &line("2", 1, "7"), &line("1", 2, "7")].concat();
        let plan = Plan::make(read(csv.as_bytes()).unwrap(), None);
        let times: Vec<_> = steps(&plan)
            .filter_map(|step| {
                if let Step::Register(user) = step { Some(user.registered_at.minute()) } else { None }
            })
            .collect();
        assert_eq!(times, [1]);
    }

    #[test]
    fn deliveries_bring_what_is_ordered_and_written_off_less_what_is_forgotten() {
        let orders: String = (1..=150).map(|invoice| format!("{invoice},22423,2,1,7 ")).collect();
        let plan = plan(&format!("{orders} 999,22423,-3,0,"), None);
        let delivery = Delivery { id: "2010-12/22423".into(), sku: "22423".into(), quantity: 149 * 2 + 3 };
        assert_eq!(plan.months[0].deliveries, [delivery]);
    }

    #[test]
    fn an_invoice_belongs_to_the_month_of_its_first_line() {
        let line = |invoice: &str, at: &str| format!("{invoice},22423,TEXT,-3,{at},0,,France\n");
        let csv = [HEADER, &line("1", "2010-12-31 23:59:00"), &line("1", "2011-01-01 00:01:00")].concat();
        let plan = Plan::make(read(csv.as_bytes()).unwrap(), None);
        let delivery = Delivery { id: "2010-12/22423".into(), sku: "22423".into(), quantity: 6 };
        assert_eq!(plan.months.len(), 1);
        assert_eq!(plan.months[0].deliveries, [delivery]);
    }

    #[test]
    fn the_lines_of_all_rules_add_up_to_those_of_the_file() {
        let line =
            |invoice: &str, text: &str| format!("{invoice},22423,{text},1,2010-12-01 08:26:00,1,7,France\n");
        let lines = [line("1", "\"WHITE HANGING"), line("2", "CAKESTAND"), line("3", "\"WHITE\"")];
        let plan = Plan::make(read((HEADER.to_owned() + &lines.concat()).as_bytes()).unwrap(), None);
        assert_eq!(rules(&plan), [(Rule::OrderLine, 2), (Rule::Malformed, 1)]);
        assert_eq!(plan.orders, 2);
    }

    #[test]
    fn the_real_file_falls_under_the_rules_as_the_readme_says() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/online-retail/orders-2010-12-to-2011-06.csv.gz"
        );
        let plan = Plan::make(crate::input::read(path.as_ref()).unwrap(), None);
        let expected = [
            (Rule::OrderLine, 238_743),
            (Rule::FreeItem, 343),
            (Rule::OrderCharge, 1_181),
            (Rule::Return, 4_195),
            (Rule::Credit, 218),
            (Rule::StockCorrection, 758),
            (Rule::StockFound, 372),
            (Rule::Fee, 38),
            (Rule::Sample, 50),
            (Rule::NothingToBook, 5),
        ];
        assert_eq!(rules(&plan), expected);
        assert_eq!(plan.orders, 9_653);
        assert_eq!(plan.months.len(), 7);
        assert_eq!(steps(&plan).filter(|step| matches!(step, Step::Register(_))).count(), 3_002);
        assert_eq!(returns(&plan).iter().filter(|back| !back.lines.is_empty()).count(), 1_806);
        assert_eq!(returns(&plan).iter().filter(|back| back.undoes.is_some()).count(), 53);
    }
}
