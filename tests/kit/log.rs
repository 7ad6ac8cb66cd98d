//! The log of this process, kept.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, Once},
};

use serde_json::Value;

/// What has been logged so far.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the log from now on.
pub fn keep() {
    static LOGS: Once = Once::new();
    LOGS.call_once(|| {
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(|| Log);
        lines.json().flatten_event(true).init();
    });
}

/// The lines so far that hold this text: the log is that of all tests of this process, and most of it is not even read.
pub fn lines_with(text: &str) -> Vec<Value> {
    let log = LOG.lock().expect("the log");
    let log = std::str::from_utf8(&log).expect("UTF-8");
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The lines so far with this message, about this endpoint.
pub fn of_endpoint(endpoint: SocketAddr, message: &str) -> Vec<Value> {
    let endpoint = endpoint.to_string();
    let is_of = |line: &Value| line["endpoint"] == endpoint && line["message"] == message;
    lines_with(&endpoint).into_iter().filter(is_of).collect()
}

/// The lines about a callback so far.
pub fn of(operation_id: &str) -> Vec<Value> {
    let callback = |line: &Value| line["message"] == "callback" && line["operation_id"] == operation_id;
    lines_with(operation_id).into_iter().filter(callback).collect()
}
