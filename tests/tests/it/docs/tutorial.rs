//! The tutorial, and the page about changed schemas, as a reader follows them: their commands in order, in a directory of their
//! own, on servers that they start. What they print is compared with the page.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use aqueduct_devstack::{Child, Conditions};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::pages::{Block, blocks, is_printed};
use crate::node_client;
use crate::support::{BINARY, PATIENCE, ROOT, eventually};

const PAGE: &str = "crates/aqueduct/docs/tutorial.md";

/// The reader's terminals: what one exports and where it is, the others share.
struct Terminals {
    folder: TempDir,
    /// Commands that run until Ctrl-C.
    running: Vec<Child>,
}

impl Terminals {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(BINARY, programs.join("aqueduct")).unwrap();
        fs::write(folder.path().join("place"), folder.path().to_str().unwrap()).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut exports =
            format!("export PATH='{}:{path}'\nexport AQUEDUCT_HTTP__RELAY=127.0.0.1:0\n", programs.display());
        // `dev` starts each server on the port of its configured address. The page takes the usual ports.
        let listeners: Vec<_> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> = listeners.iter().map(|it| it.local_addr().unwrap().port()).collect();
        for (name, address) in [
            ("EVENTSTORE__URL", format!("esdb://127.0.0.1:{}?tls=false", ports[0])),
            ("KAFKA__BROKERS", format!("127.0.0.1:{}", ports[1])),
            ("REGISTRY__URL", format!("http://127.0.0.1:{}", ports[2])),
            ("POSTGRES__URL", format!("postgres://aqueduct@127.0.0.1:{}/aqueduct", ports[3])),
        ] {
            exports.push_str(&format!("export AQUEDUCT_{name}='{address}'\n"));
        }
        fs::write(folder.path().join("exports"), exports).unwrap();
        Self { folder, running: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let folder = self.folder.path().display();
        command.arg("-c").arg(format!("set -eu; . {folder}/exports; cd \"$(cat {folder}/place)\"\n{script}"));
        command
    }

    /// Runs a block to its end and returns what it prints.
    #[track_caller]
    fn run(&self, block: &str) -> String {
        let folder = self.folder.path().display();
        let script = format!("{{\n{block}\n}} 2>&1\nexport -p > {folder}/exports; pwd > {folder}/place");
        let output = self.shell(&script).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{block}\nprinted\n{printed}");
        printed
    }

    /// Starts a block in a terminal of its own and waits for what it prints.
    async fn start(&mut self, block: &str, expected: &str) -> String {
        let log = self.path(&format!("terminal-{}.log", self.running.len()));
        let command = self.shell(&format!("exec {block}"));
        let mut child = Child::spawn(command, &Conditions::plain(), &log).unwrap();
        let printed = eventually(block, async || {
            let printed = fs::read_to_string(&log).unwrap();
            assert!(child.ended().unwrap().is_none(), "{block} ended:\n{printed}");
            is_printed(expected, &printed).then_some(printed)
        })
        .await;
        self.running.push(child);
        printed
    }

    /// Ctrl-C in each terminal, the last one first.
    async fn interrupt(mut self) {
        while let Some(mut child) = self.running.pop() {
            child.signal(Signal::SIGINT);
            let ended = child.wait(PATIENCE).await.unwrap();
            assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        }
    }
}

/// Commands that change nothing: a reader repeats them until the relay has caught up.
fn only_looks(block: &str) -> bool {
    let looking = ["aqueduct status", "aqueduct verify", "aqueduct parked list"];
    block.lines().all(|line| looking.contains(&line))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_follows_the_tutorial() {
    node_client::require_tools();
    follow(PAGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_changes_an_event() {
    follow("schemas/CHANGING.md").await;
}

async fn follow(page: &str) {
    let page = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let mut terminals = Terminals::open();
    for Block { command, expected, in_own_terminal } in blocks(&page) {
        if in_own_terminal {
            let printed = terminals.start(&command, &expected).await;
            let exports = printed.lines().filter(|line| line.starts_with("export "));
            exports.for_each(|line| drop(terminals.run(line)));
            continue;
        }
        let mut printed = terminals.run(&command);
        if only_looks(&command) {
            eventually(&command, async || {
                printed = terminals.run(&command);
                is_printed(&expected, &printed).then_some(())
            })
            .await;
        }
        assert!(is_printed(&expected, &printed), "{command}\nprinted\n{printed}\nthe page has\n{expected}");
    }
    terminals.interrupt().await;
}

#[test]
fn the_tutorial_installs_as_the_readme_does() {
    let install = "cargo install --locked --path crates/cli";
    for page in [PAGE, "README.md"] {
        assert!(fs::read_to_string(Path::new(ROOT).join(page)).unwrap().contains(install), "{page}");
    }
}
