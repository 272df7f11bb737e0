//! A bank: one aggregate, one read model, one service, which reads standard input instead of HTTP requests.
use aqueduct::prelude::*;
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Booked {
    account: String,
    pence: i64,
}
domain_event! { enum AccountEvent { Booked } }
struct ChangeBalance {
    account: String,
    pence: i64,
}
impl Command for ChangeBalance {}
#[derive(Debug, thiserror::Error)]
#[error("the account has only {0} pence")]
struct Overdrawn(i64);

#[derive(Default)]
struct Account {
    balance: i64,
}
impl Aggregate for Account {
    const TYPE: &'static str = "account"; // its streams are account-<id>
    type Command = ChangeBalance;
    type Event = AccountEvent;
    type Error = Overdrawn;
    fn handle(&self, command: &ChangeBalance) -> Result<Vec<AccountEvent>, Overdrawn> {
        let booked = Booked { account: command.account.clone(), pence: command.pence };
        if self.balance + command.pence >= 0 { Ok(vec![booked.into()]) } else { Err(Overdrawn(self.balance)) }
    }
    fn apply(&mut self, AccountEvent::Booked(event): &AccountEvent) {
        self.balance += event.pence;
    }
}

impl Deltas for Booked {
    const NAME: &'static str = "balances";
    const TOPICS: &'static [&'static str] = &["bank.accounts"];
    const TABLE: &'static str = "bank.balances";
    const KEY: &'static [&'static str] = &["account"];
    const SUMS: &'static [&'static str] = &["pence"];
    type Event = AccountEvent;
    type Row = Self; // a delta is itself a row
    fn deltas(AccountEvent::Booked(event): &AccountEvent, _: &Envelope) -> Vec<Self> {
        vec![event.clone()]
    }
}
async fn teller(service: Service) -> Result<(), Failure> {
    let accounts = service.connections().commands::<Account>()?;
    while let Some(Ok(line)) = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await? {
        let (account, pence) = line.split_once(' ').ok_or("a line is: ACCOUNT PENCE")?;
        let command = ChangeBalance { account: account.to_owned(), pence: pence.parse()? };
        accounts.execute(account, CommandRequest::new(CommandId::random(), command)).await?;
    }
    Ok(())
}
fn main() -> std::process::ExitCode {
    let table = "create table bank.balances (account text primary key, pence bigint not null default 0)";
    App::new("bank").migrations([(1, "balances", table)]).deltas::<Booked>().service("teller", teller).main()
}
