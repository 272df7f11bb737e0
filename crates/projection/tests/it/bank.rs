//! A small domain: accounts, and deposits by branch.

use aqueduct_core::{DomainEvent, domain_event};
use aqueduct_projection::{Deltas, Envelope, Key, View};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) branch: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deposited {
    pub(crate) amount: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closed {}

domain_event! { pub(crate) enum BankEvent { Opened, Deposited, Closed } }

pub(crate) const TABLES: &str = "
    create schema bank;
    create table bank.accounts (
        id text primary key,
        branch text,
        balance numeric not null check (balance < 1000000),
        \"order\" text not null,
        doubled numeric generated always as (balance * 2) stored);
    create table bank.branches (day date, branch text, deposits bigint not null, amount numeric not null,
        primary key (day, branch));
";

/// Topics of the tests that run on Kafka: each has its own.
const TOPICS: &[&str] = &[
    "bank.0", "bank.1", "bank.2", "bank.3", "bank.4", "bank.5", "bank.6", "bank.7", "bank.8", "bank.9",
    "bank.10", "bank.11", "bank.12", "bank.13", "bank.14", "bank.15",
];

/// An account, with the revisions of its events in the order in which they were applied.
pub(crate) struct Accounts<const TOPIC: usize>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) branch: Option<String>,
    /// Numeric in the table.
    pub(crate) balance: String,
    pub(crate) order: String,
}

impl<const TOPIC: usize> View for Accounts<TOPIC> {
    const NAME: &'static str = "accounts";
    const TOPICS: &'static [&'static str] = &[TOPICS[TOPIC]];
    const TABLE: &'static str = "bank.accounts";
    const KEY: &'static [&'static str] = &["id"];
    const IGNORED_TYPES: &'static [&'static str] = &["Audited"];
    type Event = BankEvent;
    type Row = Account;

    fn key(_: &BankEvent, envelope: &Envelope) -> Key {
        [envelope.stream.id().unwrap_or_default()].into()
    }

    fn fold(row: Option<Account>, event: &BankEvent, envelope: &Envelope) -> Option<Account> {
        let mut account =
            row.unwrap_or_else(|| Account { branch: None, balance: "0".to_owned(), order: String::new() });
        account.order += &format!("{} ", envelope.revision);
        match event {
            BankEvent::Opened(opened) => account.branch = Some(opened.branch.clone()),
            BankEvent::Deposited(Deposited { amount }) => {
                assert_ne!(*amount, 666, "on purpose");
                account.balance = (account.balance.parse::<i64>().unwrap() + amount).to_string();
            }
            BankEvent::Closed(_) => return None,
        }
        Some(account)
    }
}

/// Deposits by day and branch; the stream says which branch: `account-<branch>-<number>`.
pub(crate) struct Branches<const TOPIC: usize>;

#[derive(Serialize)]
pub(crate) struct BranchDelta {
    day: &'static str,
    branch: String,
    deposits: i64,
    amount: i64,
}

impl<const TOPIC: usize> Deltas for Branches<TOPIC> {
    const NAME: &'static str = "branches";
    const TOPICS: &'static [&'static str] = &[TOPICS[TOPIC]];
    const TABLE: &'static str = "bank.branches";
    const KEY: &'static [&'static str] = &["day", "branch"];
    const SUMS: &'static [&'static str] = &["deposits", "amount"];
    const IGNORED_TYPES: &'static [&'static str] = &["Audited"];
    type Event = BankEvent;
    type Row = BranchDelta;

    fn deltas(event: &BankEvent, envelope: &Envelope) -> Vec<BranchDelta> {
        let BankEvent::Deposited(Deposited { amount }) = event else { return Vec::new() };
        let branch = envelope.stream.as_str().split('-').nth(1).unwrap_or_default().to_owned();
        vec![BranchDelta { day: "2010-12-01", branch, deposits: 1, amount: *amount }]
    }
}

pub(crate) fn opened(branch: &str) -> BankEvent {
    Opened { branch: branch.to_owned() }.into()
}

pub(crate) fn deposited(amount: i64) -> BankEvent {
    Deposited { amount }.into()
}

pub(crate) fn json(event: &BankEvent) -> Vec<u8> {
    event.to_json().unwrap()
}
