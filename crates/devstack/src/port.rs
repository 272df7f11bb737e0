use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::error::StartError;

/// A loopback port for `part`: the configured one, or a free one.
///
/// A free port is not reserved until the part listens on it. It is below the range of ephemeral ports, so that a stopped
/// part finds its port free when it restarts.
pub(crate) fn choose(part: &'static str, wanted: Option<u16>) -> Result<u16, StartError> {
    if let Some(port) = wanted {
        return if is_free(port) { Ok(port) } else { Err(StartError::PortInUse { part, port }) };
    }
    const FROM: u16 = 10_000;
    const COUNT: u128 = 20_000;
    for _ in 0..1000 {
        let offset = u16::try_from(uuid::Uuid::new_v4().as_u128() % COUNT).unwrap_or_default();
        if is_free(FROM + offset) {
            return Ok(FROM + offset);
        }
    }
    Err(StartError::PortInUse { part, port: FROM })
}

/// Starts a part on the configured port, or on a free one: if another process took that one meanwhile, on another.
pub(crate) async fn start_on<T>(
    part: &'static str,
    wanted: Option<u16>,
    start: impl AsyncFn(u16) -> Result<T, StartError>,
) -> Result<(T, u16), StartError> {
    const ATTEMPTS: usize = 3;
    for _ in 1..ATTEMPTS {
        let port = choose(part, wanted)?;
        match start(port).await {
            Err(error) if wanted.is_none() && error.is_port_taken() => {}
            started => return Ok((started?, port)),
        }
    }
    let port = choose(part, wanted)?;
    Ok((start(port).await?, port))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}
