use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::StartError;

/// A loopback port for `part`: the one asked for, or a free one.
///
/// Nothing holds a free one until the part listens on it. It lies below the range from which the kernel takes ports
/// for outgoing connections, so that a part which was stopped finds its port free when it starts again.
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

/// Starts something on the port asked for, or on a free one: then on another, where somebody else was faster.
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
