//! Plays a recording to a server and says where the server answers otherwise than the real one did.
//! The format is described beside the recordings.

pub(crate) mod call;
mod compare;

use std::{collections::HashMap, fmt, time::Duration};

use call::{Call, Protocol, Received};
use compare::Bindings;
use serde_json::{Map, Value};
use tonic::{Code, Status, transport::Channel};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long open calls are listened to at the end for answers that are in no recording.
const SILENCE: Duration = Duration::from_millis(50);

/// Where a server answered otherwise.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) file: String,
    /// Counted from 1; the one after the last is what comes at the end.
    pub(crate) step: usize,
    pub(crate) what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, step {}: {}", self.file, self.step, self.what)
    }
}

/// Plays one recording.
pub(crate) async fn play(channel: &Channel, recording: &Value) -> Result<(), Difference> {
    let file = recording["file"].as_str().unwrap().to_owned();
    let mut player = Player {
        protocol: Protocol::new(channel.clone()),
        bindings: Bindings::default(),
        open: HashMap::new(),
    };
    let steps = recording["steps"].as_array().unwrap();
    for (index, step) in steps.iter().enumerate() {
        let at = |what| Difference { file: file.clone(), step: index + 1, what };
        player.step(step.as_object().unwrap()).await.map_err(at)?;
    }
    let loose = recording["loose_positions"] == true;
    let at = |what| Difference { file: file.clone(), step: steps.len() + 1, what };
    player.finish(loose).await.map_err(at)
}

struct Player {
    protocol: Protocol,
    bindings: Bindings,
    open: HashMap<String, OpenCall>,
}

struct OpenCall {
    call: Call,
    ended: Option<Status>,
    checkpoint: u64,
}

impl Player {
    async fn step(&mut self, step: &Map<String, Value>) -> Result<(), String> {
        if let Some(milliseconds) = step.get("sleep_ms") {
            // Time is what is recorded here: events grow older than $maxAge.
            tokio::time::sleep(Duration::from_millis(milliseconds.as_u64().unwrap())).await;
            return Ok(());
        }
        let none = Vec::new();
        let list = |key: &str| step.get(key).map_or(&none, |list| list.as_array().unwrap());
        let send = list("send").iter().map(|m| self.bindings.to_send(m)).collect::<Vec<_>>();
        let (receive, status) = (list("receive"), step.get("status"));
        if let Some(name) = step.get("on") {
            let name = name.as_str().unwrap();
            let Some(mut open) = self.open.remove(name) else {
                return Err(format!("no call '{name}' is open"));
            };
            if step.contains_key("cancel") {
                return Ok(());
            }
            for message in &send {
                open.call.send(message);
            }
            if step.contains_key("end") {
                open.call.half_close();
            }
            expect(&mut open, &mut self.bindings, receive, status).await?;
            self.open.insert(name.to_owned(), open);
            return Ok(());
        }
        let path = step["call"].as_str().unwrap();
        let mut call = self.protocol.open(path, step.get("metadata"));
        for message in &send {
            call.send(message);
        }
        let name = step.get("as").map(|name| name.as_str().unwrap());
        if name.is_none() || self.protocol.takes_one_request(path) {
            call.half_close();
        }
        let mut open = OpenCall { call, ended: None, checkpoint: 0 };
        expect(&mut open, &mut self.bindings, receive, status).await?;
        if let Some(name) = name {
            self.open.insert(name.to_owned(), open);
        }
        Ok(())
    }

    async fn finish(mut self, loose_positions: bool) -> Result<(), String> {
        if !self.open.is_empty() {
            tokio::time::sleep(SILENCE).await;
        }
        for (name, mut open) in self.open.drain() {
            while let Some(received) = open.call.received() {
                match received {
                    Received::Message(message) if message.get("checkpoint").is_some() => {}
                    Received::Message(message) => {
                        return Err(format!("call '{name}' brought one more: {message}"));
                    }
                    Received::End(status) if open.ended.is_none() => {
                        return Err(format!("call '{name}' was ended: {status}"));
                    }
                    Received::End(_) => {}
                }
            }
        }
        if loose_positions { Ok(()) } else { self.bindings.check_order() }
    }
}

/// These messages and then, if there is one, this status.
async fn expect(
    open: &mut OpenCall,
    bindings: &mut Bindings,
    messages: &[Value],
    status: Option<&Value>,
) -> Result<(), String> {
    let messages = messages.iter().filter(|message| message.get("checkpoint").is_none());
    for (index, expected) in messages.enumerate() {
        let message = match next(open).await? {
            Received::Message(message) => message,
            Received::End(status) => return Err(format!("message {} is missing: {status}", index + 1)),
        };
        check_checkpoint(&message, open.checkpoint)?;
        bindings.compare(expected, Some(&message)).map_err(|what| format!("message {}{what}", index + 1))?;
    }
    let Some(expected) = status else { return Ok(()) };
    let ended = match (open.ended.take(), expected) {
        (Some(ended), _) => ended,
        (None, _) => match next(open).await? {
            Received::Message(message) => return Err(format!("one message more than recorded: {message}")),
            Received::End(ended) => ended,
        },
    };
    compare_status(expected, &ended)?;
    open.ended = Some(ended);
    Ok(())
}

/// The next answer that is no checkpoint; those are checked and passed over.
async fn next(open: &mut OpenCall) -> Result<Received, String> {
    loop {
        let received = tokio::time::timeout(PATIENCE, open.call.next())
            .await
            .map_err(|_| format!("no answer within {PATIENCE:?}"))?;
        let Received::Message(message) = &received else { return Ok(received) };
        let Some(checkpoint) = message.get("checkpoint") else { return Ok(received) };
        let position = compare::number(&checkpoint["commit_position"]);
        if position < open.checkpoint {
            return Err(format!("checkpoint {position} comes after checkpoint {}", open.checkpoint));
        }
        open.checkpoint = position;
    }
}

/// An event at or before a checkpoint would be skipped by a client that resumes there.
fn check_checkpoint(message: &Value, checkpoint: u64) -> Result<(), String> {
    let position = compare::number(&message["event"]["commit_position"]);
    if message.get("event").is_some() && position <= checkpoint {
        return Err(format!("an event at {position} comes after checkpoint {checkpoint}"));
    }
    Ok(())
}

fn compare_status(expected: &Value, ended: &Status) -> Result<(), String> {
    let code = expected["code"].as_str().unwrap();
    if code == "UNKNOWN" {
        return if ended.code() == Code::Ok { Err("an error was expected".to_owned()) } else { Ok(()) };
    }
    let ended_code = call::code_name(ended.code());
    if code != ended_code {
        return Err(format!("status {ended_code} ({}), expected {code}", ended.message()));
    }
    let trailers = call::trailers(ended);
    let none = Map::new();
    let expected = expected.get("trailers").map_or(&none, |trailers| trailers.as_object().unwrap());
    if &trailers == expected { Ok(()) } else { Err(format!("trailers {trailers:?}, expected {expected:?}")) }
}
