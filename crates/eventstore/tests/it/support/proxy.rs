//! A TCP proxy that can fall silent without closing anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Connections from the first one on up to, not including, the second are mute.
    muted: watch::Sender<(usize, usize)>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let muted = watch::Sender::new((0, 0));
        let (counter, mute) = (Arc::clone(&accepted), muted.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(forward(client, server, number, mute.clone()));
            }
        });
        Self { address, accepted, muted }
    }

    pub(crate) fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// No byte comes through these connections any more, and none is refused.
    pub(crate) fn mute(&self, connections: std::ops::Range<usize>) {
        self.muted.send_replace((connections.start, connections.end));
    }
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    number: usize,
    mut muted: watch::Receiver<(usize, usize)>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let silenced = async {
        let _ = muted.wait_for(|(from, to)| (*from..*to).contains(&number)).await;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        () = silenced => {}
    }
    // The sockets stay open as long as the proxy does.
    while muted.changed().await.is_ok() {}
}
