//! Read models: the rows that must be there against the rows that are.

use std::collections::BTreeMap;

use crate::finding::{Findings, Kind, Stage};

/// The cells of a row as text; null is `None`.
pub type Cells = Vec<Option<String>>;

/// A read model and what it must hold.
#[derive(Debug, Clone)]
pub struct Table {
    /// `shop.orders`
    pub name: &'static str,
    /// Selects `key` columns and then the others, all cast to text.
    pub query: &'static str,
    /// How many of the selected columns make up the key.
    pub key: usize,
    /// Names of the columns after the key.
    pub columns: &'static [&'static str],
    /// The rows that must be there.
    pub rows: BTreeMap<Vec<String>, Cells>,
    /// A row whose cells are all equal to these says no more than no row: it may be there or not.
    pub empty: Option<Cells>,
}

impl Table {
    /// Compares with the rows that were found.
    pub fn judge(&self, found: impl IntoIterator<Item = Cells>, findings: &mut Findings) {
        let mut add = |kind, key: &[String], text: String| {
            findings.add(Stage::Views, kind, format_args!("{} {}", self.name, key.join(" ")), text);
        };
        let mut seen = BTreeMap::new();
        for mut row in found {
            let cells = row.split_off(self.key.min(row.len()));
            let key: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            let times = seen.entry(key.clone()).or_insert(0_u32);
            *times += 1;
            if *times > 1 {
                add(Kind::Duplicate, &key, "is there more than once".to_owned());
                continue;
            }
            let Some(expected) = self.rows.get(&key).or(self.empty.as_ref()) else {
                add(Kind::Mismatch, &key, "no event accounts for this row".to_owned());
                continue;
            };
            let differences: Vec<String> = (self.columns.iter().zip(expected.iter().zip(&cells)))
                .filter(|(_, (expected, found))| expected != found)
                .map(|(column, (expected, found))| {
                    format!("{column} is {}, expected {}", text(found.as_ref()), text(expected.as_ref()))
                })
                .collect();
            if !differences.is_empty() {
                add(Kind::Mismatch, &key, differences.join("; "));
            }
        }
        for (key, cells) in &self.rows {
            if !seen.contains_key(key) && self.empty.as_ref() != Some(cells) {
                add(Kind::Missing, key, "no such row".to_owned());
            }
        }
    }
}

fn text(cell: Option<&String>) -> &str {
    cell.map_or("null", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(cells: &[&str]) -> Cells {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    fn judged(found: &[&[&str]], empty: Option<Cells>) -> Vec<(Kind, String)> {
        let rows = [("a", "1"), ("b", "2")];
        let table = Table {
            name: "t",
            query: "",
            key: 1,
            columns: &["n"],
            rows: rows.iter().map(|(key, n)| (vec![(*key).to_owned()], some(&[n]))).collect(),
            empty,
        };
        let mut findings = Findings::keeping(10);
        table.judge(found.iter().map(|row| some(row)), &mut findings);
        findings.into_kept().into_iter().map(|it| (it.kind, format!("{}: {}", it.place, it.text))).collect()
    }

    #[test]
    fn rows_are_compared_one_by_one() {
        assert_eq!(judged(&[&["b", "2"], &["a", "1"]], None), []);
        assert_eq!(judged(&[&["b", "2"]], None), [(Kind::Missing, "t a: no such row".to_owned())]);
        assert_eq!(
            judged(&[&["b", "2"], &["a", "1"], &["a", "1"]], None),
            [(Kind::Duplicate, "t a: is there more than once".to_owned())]
        );
        assert_eq!(
            judged(&[&["b", "2"], &["a", "3"]], None),
            [(Kind::Mismatch, "t a: n is 3, expected 1".to_owned())]
        );
        assert_eq!(
            judged(&[&["b", "2"], &["a", "1"], &["c", "0"]], None),
            [(Kind::Mismatch, "t c: no event accounts for this row".to_owned())]
        );
    }

    #[test]
    fn a_row_of_nothing_may_be_there_or_not() {
        assert_eq!(judged(&[&["b", "2"], &["a", "1"], &["c", "0"]], Some(some(&["0"]))), []);
        assert_eq!(judged(&[&["b", "2"]], Some(some(&["1"]))), []);
    }
}
