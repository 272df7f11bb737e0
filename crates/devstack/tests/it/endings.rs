//! The parts end with the process that started them, however it ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use aqueduct_devstack::{Data, DevStack, Options, Part, StartError};

use crate::other_process::{Orders, OtherProcess};

fn wait_until_closed(addresses: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    for address in addresses.split_whitespace() {
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "{address} still listens");
            std::thread::yield_now();
        }
    }
}

fn end_by(signal: &str, process: &mut OtherProcess) {
    let pid = process.child.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(60);
    while process.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "{signal} does not end the process");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_killed_process_takes_its_parts_along_and_its_data_is_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = OtherProcess::start(Orders::Wait, dir.path(), |_| ());
    let addresses = process.says("started");
    for address in addresses.split_whitespace() {
        TcpStream::connect(address).unwrap();
    }

    let options =
        Options { data: Data::Kept(dir.path().to_owned()), postgres: Part::start(), ..Options::none() };
    let refused = DevStack::start(options.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, StartError::DataInUse { holder, .. } if *holder == process.child.id().to_string()),
        "{refused}"
    );

    end_by("-KILL", &mut process);
    wait_until_closed(&addresses);
    DevStack::start(options).await.unwrap().shutdown().await;
}

#[test]
fn a_process_that_panics_or_is_interrupted_takes_its_parts_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = OtherProcess::start(Orders::Panic, dir.path(), |_| ());
    let addresses = process.says("started");
    assert!(!process.child.wait().unwrap().success());
    wait_until_closed(&addresses);

    let mut process = OtherProcess::start(Orders::Wait, dir.path(), |_| ());
    let addresses = process.says("started");
    end_by("-INT", &mut process);
    wait_until_closed(&addresses);
}
