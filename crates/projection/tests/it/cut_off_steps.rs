//! A step of a request for parked events whose time is over while it waits for Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aqueduct_projection::{Options, PostgresOptions, Projection, parked};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bank::{Accounts, deposited};
use crate::parked::{TOO_MUCH, apply, execute_all, stream};
use crate::support::{Database, event, plain};

/// A proxy in front of Postgres that can withhold the answer to a BEGIN.
struct Proxy {
    address: String,
    is_armed: Arc<AtomicBool>,
    withholds: watch::Sender<bool>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_armed, withholds) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(false));
        let (arms, withheld) = (Arc::clone(&is_armed), withholds.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&arms), withheld.clone()));
            }
        });
        Self { address, is_armed, withholds }
    }

    /// The next BEGIN has no answer.
    fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    async fn wait_until_it_withholds(&self) {
        self.withholds.subscribe().wait_for(|withholds| *withholds).await.unwrap();
    }

    fn let_go(&self) {
        self.withholds.send_replace(false);
    }
}

async fn forward(
    client: TcpStream,
    server: TcpStream,
    is_armed: Arc<AtomicBool>,
    withholds: watch::Sender<bool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let own = watch::Sender::new(false);
    let (mut is_withheld, mut is_let_go) = (own.subscribe(), withholds.subscribe());
    let questions = async {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            let begins = bytes[..count].windows(5).any(|word| word == b"BEGIN");
            if begins && is_armed.swap(false, Ordering::SeqCst) {
                own.send_replace(true);
                withholds.send_replace(true);
            }
            if to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown().await;
    };
    let answers = async {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if *is_withheld.borrow_and_update() {
                is_let_go.wait_for(|withholds| !withholds).await.unwrap();
                own.send_replace(false);
            }
            if to_client.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(questions, answers);
}

/// Guarantee 1: what is written later is not written into a transaction that nobody commits.
#[tokio::test]
async fn a_connection_whose_begin_was_cut_off_is_not_used_again() {
    let database = Database::create().await;
    let (user, server) = database.url.split_once('@').unwrap();
    let (server, name) = server.split_once('/').unwrap();
    let proxy = Proxy::start(server.to_owned()).await;
    let url = format!("{user}@{}/{name}", proxy.address);
    let postgres = PostgresOptions { connections: 1, timeout_seconds: 1, ..PostgresOptions::new(url) };
    let options = Options { postgres, ..database.options() };
    let batches = Projection::view::<Accounts<0>>(options, plain()).batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let accounts = (batches, epoch);
    let deposit = |revision, amount| event("account-1", revision, &deposited(amount));
    apply(&accounts, 0, &[deposit(0, 1), deposit(1, TOO_MUCH), deposit(2, 1)]).await;
    parked::replay(&database.pool, &stream("account-1")).await.unwrap();

    proxy.arm();
    let (step, ()) = tokio::join!(accounts.0.execute_step(), proxy.wait_until_it_withholds());
    step.unwrap_err();
    proxy.let_go();
    let epoch = accounts.0.claim("bank.0", 0).await.unwrap().epoch;
    assert_eq!(database.number("select epoch from aqueduct.offsets").await, epoch, "it is committed");
    crate::parked::fix(&database).await;
    let accounts = (accounts.0, epoch);
    assert!(execute_all(&accounts).await > 0);
    assert_eq!(database.number("select count(*) from aqueduct.parked").await, 0);
}
