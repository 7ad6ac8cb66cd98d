//! What OpenIM's own code sends, and what it makes of an answer, next to what the bridge meant and to what `send` says.
//!
//! - `main.go`: the oracle, a program around that code. It is told callbacks to send and tells what came of them; it
//!   writes the body of any callback (`codec.go`, `values.go`), and reads the answer to any.
//! - [`asked`]: the bodies of every callback, as a decision service is asked them.
//! - [`answered`]: every kind of answer to every callback.
//! - [`bridge`]: every kind of answer to the callback about remarks, through OpenIM's own client.
//! - [`bodies`], [`responses`]: some hundred others, for `send` alone.
//! - [`server`]: what answers with given bytes.
//!
//! Ignored unless asked for, since they need Go: `.ci/full oracle` builds the oracle and runs them.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

#[path = "../kit/mod.rs"]
mod kit;

mod answered;
mod asked;
mod bodies;
mod bridge;
mod responses;
mod server;

use std::{
    env,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use http::HeaderValue;
use openim_bridge::cli::send;
use openim_bridge::openim::Refusal;
use openim_bridge::openim::client::{CallbackRequest, OpenIm, UrlForm, go_body};
use serde_json::{Map, Value, json};
use server::{Answer, server};

/// Who sets the remark in every callback here; the operation ID is this, too.
const OWNER: &str = "u1";
const FRIEND: &str = "u2";
const OPERATION_ID: &str = "op-1";

/// What OpenIM does in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Conclusion {
    /// It stores this remark.
    Stores(String),
    /// Its API's caller gets this error, the App's or the bridge's.
    Refuses { code: i64, message: String, detail: String },
    /// Its API's caller gets this error, one of OpenIM's own.
    Fails { code: i64, message: String },
}

impl Conclusion {
    fn stores(remark: &str) -> Self {
        Self::Stores(remark.to_owned())
    }

    /// Without a detail.
    fn refuses(code: i64, message: &str) -> Self {
        Self::Refuses { code, message: message.to_owned(), detail: String::new() }
    }

    fn data_error() -> Self {
        Self::Fails { code: 90007, message: "DataError".to_owned() }
    }
}

impl From<Refusal> for Conclusion {
    fn from(Refusal { code, message, detail }: Refusal) -> Self {
        Self::Refuses { code: code.get().into(), message, detail }
    }
}

/// The program of `main.go`, running.
struct Oracle {
    program: Child,
    calls: ChildStdin,
    conclusions: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let path = env::var_os("ORACLE").expect("ORACLE must name the program that tests/oracle/main.go builds");
        let mut program =
            Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle starts");
        let calls = program.stdin.take().expect("its input");
        let conclusions = BufReader::new(program.stdout.take().expect("its output"));
        Self { program, calls, conclusions }
    }

    /// What OpenIM concludes from the answer of `url`, which is that of webhooks.yml, within so many seconds.
    fn concludes(&mut self, url: &str, remark: &str, timeout: u64) -> Conclusion {
        let call = json!({
            "url": url, "timeout": timeout,
            "operationID": OPERATION_ID, "owner": OWNER, "friend": FRIEND, "remark": remark,
        });
        let told: Told = self.tells(&call);
        match told.error {
            None => Conclusion::Stores(told.remark),
            Some(Error { code, msg: message, detail, own: false }) => Conclusion::Refuses { code, message, detail },
            Some(Error { code, msg: message, .. }) => Conclusion::Fails { code, message },
        }
    }

    /// The body of this callback, as Go's encoder writes it: with random values, over which `set` is laid. Seed 0 is a
    /// request with nothing in it.
    fn body(&mut self, command: &str, seed: u64, set: &Map<String, Value>) -> String {
        self.tells(&json!({"body": {"command": command, "seed": seed, "set": set}}))
    }

    /// What OpenIM reads in this answer to the callback.
    fn reads(&mut self, command: &str, answer: &str) -> Reading {
        self.tells(&json!({"read": {"command": command, "answer": answer}}))
    }

    /// The commands of all callbacks that it knows.
    fn commands(&mut self) -> Vec<String> {
        self.tells(&json!({"commands": true}))
    }

    fn tells<T: serde::de::DeserializeOwned>(&mut self, call: &Value) -> T {
        writeln!(self.calls, "{call}").expect("the oracle listens");
        let mut line = String::new();
        self.conclusions.read_line(&mut line).expect("the oracle answers");
        serde_json::from_str(&line).expect("what was asked for")
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ended = self.program.kill().and_then(|()| self.program.wait());
    }
}

/// A line of the oracle.
#[derive(serde::Deserialize)]
struct Told {
    remark: String,
    error: Option<Error>,
}

/// What OpenIM reads in an answer: all fields of its own struct, and why it does not go on.
#[derive(serde::Deserialize)]
struct Reading {
    fields: Option<Map<String, Value>>,
    error: Option<Error>,
}

#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct Error {
    code: i64,
    msg: String,
    detail: String,
    own: bool,
}

/// What `send` says that OpenIM concludes.
fn send_says(url: &str, remark: &str, timeout: u64) -> Conclusion {
    let command = kit::COMMAND;
    let remark_json = Value::from(remark);
    let body = format!(
        r#"{{"callbackCommand":"{command}","ownerUserID":"{OWNER}","friendUserID":"{FRIEND}","remark":{remark_json}}}"#
    );
    let request = CallbackRequest {
        command,
        body: go_body(&body),
        operation_id: HeaderValue::from_static(OPERATION_ID),
        form: UrlForm::Path,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sent = runtime.block_on(send::exchange(&request, url, Duration::from_secs(timeout))).expect("a fine URL");
    match sent.open_im() {
        OpenIm::GoesOn => {
            let told = sent.effects().and_then(|effects| effects.taken.first()?.told.clone());
            Conclusion::stores(told.as_ref().and_then(Value::as_str).unwrap_or(remark))
        }
        OpenIm::Refused { code, message, detail } => {
            Conclusion::Refuses { code: code.into(), message: message.to_owned(), detail: detail.to_owned() }
        }
        OpenIm::Fails { error, .. } => {
            Conclusion::Fails { code: error.code().into(), message: error.name().to_owned() }
        }
    }
}

/// A response with a length, behind which the connection closes. `headers` end in CRLF each.
fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Holds `send` against OpenIM for each of these answers. They must conclude the same, but for the answers that `known`
/// names, where they must not. `shown` makes of a name what a reader wants to see.
#[track_caller]
fn hold_against_openim(answers: Vec<(String, Answer)>, user: &str, known: &[&str], shown: impl Fn(&str) -> String) {
    let names: Vec<_> = answers.iter().map(|(name, _)| name.clone()).collect();
    assert!(names.len() > known.len(), "nothing is compared");
    let (server, mut oracle) = (server(answers), Oracle::start());
    let mut wrong = String::new();
    for name in &names {
        let url = server.url(user, name);
        let (openim, send) = (oracle.concludes(&url, "pal", 1), send_says(&url, "pal", 1));
        if (openim == send) == known.contains(&&**name) {
            let _ = write!(wrong, "\n{}\n    OpenIM: {openim:?}\n    send:   {send:?}", shown(name));
        }
    }
    assert!(wrong.is_empty(), "not as it should be, of {}:{wrong}", names.len());
}
