//! A proxy in front of Postgres, which cuts connections.

use std::io;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Dropping it closes the connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Forwards connections to the server, `host:port`.
    pub(crate) async fn start(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let cuts = watch::Sender::new(());
        let accepting = tokio::spawn(accept(listener, server, cuts.clone()));
        Ok(Self { address, cuts, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections. Postgres completes what it is doing.
    pub(crate) fn cut(&self) {
        self.cuts.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, cuts: watch::Sender<()>) {
    // Aborts the connections with this task.
    let mut connections = JoinSet::new();
    // It fails if the process has too many files open: the consumer is refused, and fails.
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, server.clone(), cuts.subscribe()));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, server: String, mut cut: watch::Receiver<()>) {
    // Without a server the client's connection is closed, as without a proxy it would be refused.
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_cut_closes_the_connections_of_before() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap().to_string()).await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..2 {
            let mut client = TcpStream::connect(proxy.address()).await.unwrap();
            let (mut accepted, _) = server.accept().await.unwrap();
            client.write_all(b"question").await.unwrap();
            let mut received = [0; 8];
            accepted.read_exact(&mut received).await.unwrap();
            assert_eq!(&received, b"question");
            if connections.is_empty() {
                proxy.cut();
                assert_eq!(client.read(&mut received).await.unwrap_or(0), 0);
            } else {
                accepted.write_all(b"answer").await.unwrap();
                assert_eq!(client.read(&mut received).await.unwrap(), 6);
            }
            connections.push((client, accepted));
        }
    }
}
