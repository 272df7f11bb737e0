use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::port;

/// How a part shows that it is ready.
#[derive(Debug, Clone)]
pub(crate) enum Probe {
    /// It returns the metadata of a ready broker.
    Kafka(u16),
    /// It responds to a request for this path with 200.
    Http(u16, String),
    /// It answers a query.
    Postgres(Box<PgConnectOptions>),
}

impl Probe {
    pub(crate) async fn answers(&self) -> bool {
        match self {
            Self::Kafka(port) => {
                let port = *port;
                tokio::task::spawn_blocking(move || kafka_answers(port).unwrap_or(false))
                    .await
                    .unwrap_or(false)
            }
            Self::Http(port, path) => {
                let (port, path) = (*port, path.clone());
                tokio::task::spawn_blocking(move || http_answers(port, &path).unwrap_or(false))
                    .await
                    .unwrap_or(false)
            }
            Self::Postgres(options) => {
                let query = async {
                    let mut connection = options.connect().await?;
                    sqlx::query("select 1").execute(&mut connection).await?;
                    connection.close().await
                };
                tokio::time::timeout(Duration::from_secs(5), query).await.is_ok_and(|result| result.is_ok())
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(2);

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&port::loopback(port), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn http_answers(port: u16, path: &str) -> std::io::Result<bool> {
    let mut stream = connect(port)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

/// Requests `Metadata` version 1 (key 3, correlation id 7, no client id, no topics) to see whether there is a broker.
///
/// The port opens before the controller unfences the broker. A client that connects in between is told that there is no
/// broker, and librdkafka may then wait long for its next metadata refresh.
fn kafka_answers(port: u16) -> std::io::Result<bool> {
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
    let mut stream = connect(port)?;
    stream.write_all(&REQUEST)?;
    // Length, correlation id, number of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer[4..8] == [0, 0, 0, 7] && answer[8..] != [0; 4])
}
