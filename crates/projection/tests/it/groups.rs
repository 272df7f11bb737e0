//! Processes with different read models, and an upgrade to a read model of more topics. Guarantees 1 to 3: nothing is lost,
//! nothing is duplicated, order holds.

use aqueduct_projection::{Envelope, Key, Options, Projection, View};

use crate::bank::{Account, Accounts, BankEvent, Branches, deposited};
use crate::support::{Database, Running, Topic, event, plain, stack, wait_for_status};

const ACCOUNTS: usize = 20;

/// The accounts of the next version, which reads another topic too.
struct Upgraded;

impl View for Upgraded {
    const NAME: &'static str = Accounts::<12>::NAME;
    const TOPICS: &'static [&'static str] = &["bank.12", "bank.13"];
    const TABLE: &'static str = Accounts::<12>::TABLE;
    const KEY: &'static [&'static str] = Accounts::<12>::KEY;
    type Event = BankEvent;
    type Row = Account;

    fn key(event: &BankEvent, envelope: &Envelope) -> Key {
        Accounts::<12>::key(event, envelope)
    }

    fn fold(row: Option<Account>, event: &BankEvent, envelope: &Envelope) -> Option<Account> {
        Accounts::<12>::fold(row, event, envelope)
    }
}

/// The next event of each account of a branch.
async fn write(topic: &Topic, branch: &str, revision: i64) {
    let events = (0..ACCOUNTS).map(|n| event(&format!("account-{branch}-{n}"), revision, &deposited(1)));
    topic.write(&events.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_different_read_models_apply_each_event_once_also_during_an_upgrade() {
    const BALANCES: &str = "select coalesce(sum(balance), 0)::bigint from bank.accounts";
    const DEPOSITS: &str = "select coalesce(sum(deposits), 0)::bigint from bank.branches";
    let database = Database::create().await;
    let (both, next) = (Topic::create("bank.12", 4).await, Topic::create("bank.13", 4).await);
    let options = || Options {
        session_timeout_ms: 6000,
        ..database.options_on(stack().kafka_bootstrap().unwrap(), "upgrade")
    };
    let accounts = Projection::view::<Accounts<12>>(options(), plain());
    let accounts_status = accounts.status();
    let accounts = Running::start(accounts);
    let branches = Running::start(Projection::deltas::<Branches<12>>(options(), plain()));
    let count = ACCOUNTS as i64;
    write(&both, "a", 0).await;
    write(&next, "b", 0).await;
    database.wait_for(BALANCES, count).await;
    database.wait_for(DEPOSITS, count).await;

    let upgraded = Projection::view::<Upgraded>(options(), plain());
    let status = upgraded.status();
    let upgraded = Running::start(upgraded);
    database.wait_for(BALANCES, 2 * count).await;
    for status in [accounts_status, status] {
        wait_for_status(status, "ready", |problem| problem.is_none()).await;
    }
    write(&both, "a", 1).await;
    write(&next, "b", 1).await;
    database.wait_for(BALANCES, 4 * count).await;
    accounts.stop().await;
    write(&both, "a", 2).await;
    write(&next, "b", 2).await;
    database.wait_for(BALANCES, 6 * count).await;
    database.wait_for(DEPOSITS, 3 * count).await;

    let orders = database.texts("select distinct \"order\" from bank.accounts").await;
    assert_eq!(orders, ["0 1 2 "], "each event once, in order");
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
    upgraded.stop().await;
    branches.stop().await;
}
