//! The record of calls, for a test's assertions: each a line of JSON, written out as it comes, or the last ones kept.
//! What users write is in it, which the log never has: it is for tests.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::Value;
use tonic::metadata::MetadataMap;

use super::{answer::MockReply, call::MockCall};

/// How many calls are kept at most.
const KEPT_CALLS: usize = 10_000;
/// How many bytes of them: 64 MiB.
const KEPT_BYTES: usize = 64 << 20;

/// What a record holds of a call's metadata.
const METADATA: [&str; 7] =
    ["operation-id", "callback-id", "attempt", "grpc-timeout", "traceparent", "tracestate", "user-agent"];

/// A call as it is recorded, when it has come in and before it is answered.
#[derive(Debug, Serialize)]
pub(super) struct Recorded<'a> {
    /// When it came in: RFC 3339, in UTC.
    time: String,
    callback: &'static str,
    operation_id: &'a str,
    /// By its names in JSON, which are OpenIM's.
    request: &'a Value,
    /// What it is answered, as in a rules file.
    answer: &'a MockReply,
    /// How long the answer waits.
    delay_ms: u128,
    /// What was left of the deadline when it came in.
    deadline_left_ms: Option<u128>,
    metadata: BTreeMap<&'static str, &'a str>,
}

impl<'a> Recorded<'a> {
    pub(super) fn new(call: &'a MockCall, metadata: &'a MetadataMap, delay: Duration, answer: &'a MockReply) -> Self {
        let text = |name| Some((name, metadata.get(name)?.to_str().ok()?));
        let metadata: BTreeMap<_, _> = METADATA.into_iter().filter_map(text).collect();
        #[expect(clippy::disallowed_methods, reason = "for readers and tests, not for deadlines")]
        let now = SystemTime::now();
        Self {
            time: humantime::format_rfc3339_millis(now).to_string(),
            callback: call.callback,
            operation_id: &call.operation_id,
            request: &call.request,
            answer,
            delay_ms: delay.as_millis(),
            deadline_left_ms: metadata.get("grpc-timeout").and_then(|text| timeout(text)).map(|left| left.as_millis()),
            metadata,
        }
    }
}

/// gRPC's notation: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(number),
        "M" => Duration::from_mins(number),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The calls that were kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// How many older ones are gone, since there are too many.
    pub dropped: u64,
    /// From the oldest to the newest. A JSON object each.
    pub calls: Vec<Value>,
}

/// Where calls are recorded. The default is nowhere.
#[derive(Default)]
pub(super) struct Recorder {
    kept: Option<Kept>,
    out: Option<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What users write is in it.
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Keeps the last calls from now on.
    pub(super) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Writes every call out from now on.
    pub(super) fn write_to(&mut self, out: Box<dyn Write + Send>) {
        self.out = Some(out);
    }

    /// Returns once the line is written, so that whoever has seen the answer finds it.
    pub(super) fn add(&mut self, call: &Recorded<'_>) {
        if self.kept.is_none() && self.out.is_none() {
            return;
        }
        let line = match serde_json::to_string(call) {
            Ok(line) => line,
            Err(error) => return tracing::error!(%error, "a call cannot be recorded"),
        };
        if let Some(out) = &mut self.out
            && let Err(error) = write_line(out, &line)
        {
            tracing::error!(%error, "the record cannot be written; no more calls are");
            self.out = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.add(line);
        }
    }

    pub(super) fn calls(&self) -> Calls {
        let Some(kept) = &self.kept else { return Calls { dropped: 0, calls: vec![] } };
        let calls = kept.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Calls { dropped: kept.dropped, calls }
    }

    pub(super) fn clear(&mut self) {
        if let Some(kept) = &mut self.kept {
            *kept = Kept::default();
        }
    }
}

impl Kept {
    fn add(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > KEPT_CALLS || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }
}

/// In one write, so that a reader never sees a part of a line.
fn write_line(out: &mut impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        assert_eq!(timeout("3999m"), Some(Duration::from_millis(3999)));
        assert_eq!(timeout("4S"), Some(Duration::from_secs(4)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(timeout("1500000u"), Some(Duration::from_millis(1500)));
        for wrong in ["", "m", "4", "4s", "+4S", "999999999S", "4é"] {
            assert_eq!(timeout(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_oldest_calls_go_and_are_counted() {
        let mut kept = Kept::default();
        for number in 0..KEPT_CALLS + 2 {
            kept.add(number.to_string());
        }
        assert_eq!((kept.lines.len(), kept.dropped), (KEPT_CALLS, 2));
        assert_eq!(kept.lines.front().map(String::as_str), Some("2"));
        kept.add("x".repeat(KEPT_BYTES));
        assert_eq!(kept.lines.len(), 1);
        kept.add("y".to_owned());
        assert_eq!((kept.lines.len(), kept.bytes), (1, 1));
    }
}
