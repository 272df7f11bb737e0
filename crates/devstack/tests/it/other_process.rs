//! A process of its own that starts a stack: this test binary, run again with one test and orders in the environment.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use aqueduct_devstack::{Data, DevStack, Options};

const ORDERS: &str = "DEVSTACK_TEST_ORDERS";
const DATA: &str = "DEVSTACK_TEST_DATA";

/// Says what the process does once it has started the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orders {
    /// Waits until it is killed.
    Wait,
    Panic,
}

pub(crate) struct OtherProcess {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl OtherProcess {
    /// Starts it; `change` may change its environment.
    pub(crate) fn start(orders: Orders, data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        // Tests that a script runs in the background ignore interrupts, and what they start would too.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=INT").arg(std::env::current_exe().unwrap());
        command.args(["--exact", "other_process::obeys_orders", "--ignored", "--nocapture"]);
        command
            .env(ORDERS, format!("{orders:?}"))
            .env(DATA, data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it says with the prefix `kind`: `started` and the addresses of its parts, or `failed` and the error.
    pub(crate) fn says(&mut self, kind: &str) -> String {
        for line in &mut self.lines {
            if let Some(said) = line.unwrap().strip_prefix(&format!("{kind}: ")) {
                return said.replace("\\n", "\n");
            }
        }
        panic!("the process ended without saying {kind}: {:?}", self.child.wait())
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn obeys_orders() {
    let orders = std::env::var(ORDERS).unwrap();
    let data = Data::Kept(std::env::var_os(DATA).unwrap().into());
    let stack = match DevStack::start(Options { data, ..Options::all() }).await {
        Ok(stack) => stack,
        Err(error) => return println!("\nfailed: {}", error.to_string().replace('\n', "\\n")),
    };
    let postgres = stack.postgres_url().unwrap().rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
    let store = stack.event_store().unwrap().address();
    println!("\nstarted: {} {postgres} {store}", stack.kafka_bootstrap().unwrap());
    match orders.as_str() {
        "Wait" => std::future::pending().await,
        _ => panic!("as ordered"),
    }
}
