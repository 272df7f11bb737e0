//! A proxy between a relay and its broker. It holds requests of one kind back while all other clients work.

use std::collections::BTreeSet;
use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::DEADLINE;

/// API keys of Kafka's protocol.
pub(crate) const HEARTBEAT: i16 = 12;
pub(crate) const INIT_PRODUCER_ID: i16 = 22;
pub(crate) const END_TXN: i16 = 26;

/// Host of the broker and of the proxy.
const HOST: &str = "127.0.0.1";

pub(crate) struct KafkaProxy {
    /// The bootstrap server of clients that shall use it.
    pub(crate) address: String,
    /// Requests that are held back.
    held: watch::Sender<BTreeSet<i16>>,
    /// Requests that have been held back so far.
    met: watch::Receiver<BTreeSet<i16>>,
}

impl KafkaProxy {
    pub(crate) async fn to(broker: &str) -> Self {
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker_port: u16 = broker.rsplit_once(':').unwrap().1.parse().unwrap();
        let (held, met) = (watch::Sender::new(BTreeSet::new()), watch::Sender::new(BTreeSet::new()));
        let proxy = Self { address: format!("{HOST}:{port}"), held: held.clone(), met: met.subscribe() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((HOST, broker_port)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(requests(from_client, to_server, held.subscribe(), met.clone()));
                tokio::spawn(responses(from_server, to_client, address(broker_port), address(port)));
            }
        });
        proxy
    }

    /// From now on holds back each request with one of these keys, and what its connection sends after it.
    pub(crate) fn hold(&self, keys: &[i16]) {
        self.held.send_replace(keys.iter().copied().collect());
    }

    /// Lets everything through.
    pub(crate) fn release(&self) {
        self.hold(&[]);
    }

    /// Waits until a request with this key is held back.
    pub(crate) async fn holds(&self, key: i16) {
        let mut met = self.met.clone();
        let met = tokio::time::timeout(DEADLINE, met.wait_for(|it| it.contains(&key))).await;
        met.unwrap_or_else(|_| panic!("no request with key {key} in time")).unwrap();
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut held: watch::Receiver<BTreeSet<i16>>,
    met: watch::Sender<BTreeSet<i16>>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut client).await?;
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        if held.borrow().contains(&key) {
            met.send_modify(|it| {
                it.insert(key);
            });
            if held.wait_for(|it| !it.contains(&key)).await.is_err() {
                return Ok(());
            }
        }
        write_frame(&mut server, &frame).await?;
    }
}

/// The broker tells clients its own address. They get the proxy's, which has the same length.
async fn responses(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    broker: Vec<u8>,
    proxy: Vec<u8>,
) -> io::Result<()> {
    loop {
        let mut frame = read_frame(&mut server).await?;
        for at in 0..(frame.len() + 1).saturating_sub(broker.len()) {
            if frame[at..].starts_with(&broker) {
                frame[at..at + proxy.len()].copy_from_slice(&proxy);
            }
        }
        write_frame(&mut client, &frame).await?;
    }
}

/// A broker's address in a response: the host, then the port as an `INT32`.
fn address(port: u16) -> Vec<u8> {
    [HOST.as_bytes(), &i32::from(port).to_be_bytes()].concat()
}

/// Requests and responses begin with their length.
async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; from.read_u32().await? as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    to.write_u32(frame.len() as u32).await?;
    to.write_all(frame).await
}
