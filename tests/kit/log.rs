//! The log of this process, kept.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    io,
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

/// The lines so far.
pub fn lines() -> Vec<Value> {
    let log = LOG.lock().expect("the log");
    let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
}

/// The lines about a callback so far.
pub fn of(operation_id: &str) -> Vec<Value> {
    let callback = |line: &Value| line["message"] == "callback" && line["operation_id"] == operation_id;
    lines().into_iter().filter(callback).collect()
}
