//! The decision service of the scenarios with events, and what must come out even: of the events that OpenIM was told are
//! taken in, each was delivered, or is counted as what became of it; and those of a key came in order.

use std::{
    collections::{HashMap, HashSet},
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use openim_bridge_bench::{
    events::{Sent, parts},
    metrics::Metrics,
    program::Program,
    stats::percentile,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::lab::{PROMPT, Run};

const DELIVERIES: &str = "openim_bridge_deliveries_total";

/// The decision service, whether or not it runs now.
pub(crate) struct Told {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    program: Option<Program>,
}

impl Told {
    /// Starts it, on an address that nobody else has.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 31), 0));
        let mut told = Self { address, folder: tempfile::tempdir()?, program: None };
        told.does("")?;
        told.start_again().await?;
        Ok(told)
    }

    /// Where it was, with the record that it had.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        let (listen, folder) = (self.address.to_string(), self.folder.path().display());
        let (rules, record) = (format!("{folder}/rules"), format!("{folder}/record"));
        let args = ["service", "--listen", &listen, "--rules", &rules, "--record", &record];
        let program = Program::start(&env::current_exe()?, &args).await?;
        self.address = program.address;
        self.program = Some(program);
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it does this (see `service`).
    pub(crate) fn does(&self, rules: &str) -> anyhow::Result<()> {
        let (new, rules_file) = (self.folder.path().join("new"), self.folder.path().join("rules"));
        fs::write(&new, rules)?;
        Ok(fs::rename(new, rules_file)?)
    }

    pub(crate) fn program(&self) -> anyhow::Result<&Program> {
        self.program.as_ref().context("the service is not running")
    }

    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.program.take().context("the service is not running")?.stop().await
    }

    pub(crate) fn record(&self) -> anyhow::Result<Record> {
        Record::of(&fs::read_to_string(self.folder.path().join("record"))?)
    }
}

/// What the service was told.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Every call, in the order in which they came.
    got: Vec<Got>,
    /// The events that it has answered with OK.
    pub(crate) ok: HashSet<String>,
}

#[derive(Debug)]
struct Got {
    at: u64,
    operation: String,
    id: String,
    attempt: u32,
}

impl Record {
    fn of(lines: &str) -> anyhow::Result<Self> {
        let mut record = Self::default();
        for line in lines.lines() {
            match *line.split(' ').collect::<Vec<_>>() {
                ["got", at, operation, id, attempt] => record.got.push(Got {
                    at: at.parse()?,
                    operation: operation.to_owned(),
                    id: id.to_owned(),
                    attempt: attempt.parse()?,
                }),
                ["ok", _, operation] => _ = record.ok.insert(operation.to_owned()),
                _ => bail!("a record with the line {line:?}"),
            }
        }
        Ok(record)
    }

    /// What is wrong with the calls, each for itself and in their order: an event that nobody sent; one with two IDs, or an
    /// ID of two; an attempt that is not the next one; one that overtook another of its key.
    fn wrong(&self, sent: &Sent) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut ids: HashMap<&str, &str> = HashMap::new();
        let mut operations: HashMap<&str, (&str, u32)> = HashMap::new();
        let mut last: HashMap<&str, usize> = HashMap::new();
        for got in &self.got {
            let Got { operation, id, attempt, .. } = got;
            let Some((key, number)) = parts(operation).filter(|_| sent.has(operation)) else {
                wrong.push(format!("{operation:?} was delivered and never sent"));
                continue;
            };
            if *ids.entry(id).or_insert(operation) != operation {
                wrong.push(format!("two events have the ID {id}"));
            }
            let (first_id, attempts) = operations.entry(operation).or_insert((id, 0));
            if first_id != id {
                wrong.push(format!("{operation} has two IDs"));
            }
            if *attempt <= *attempts {
                wrong.push(format!("attempt {attempt} of {operation} came after {attempts}"));
            }
            *attempts = *attempt;
            let before = last.insert(key, number);
            if before.is_some_and(|before| before > number) {
                wrong.push(format!("{operation} came after {before:?} of its key"));
            }
        }
        wrong
    }

    /// The milliseconds from each event's receipt by the bridge, which its ID holds, to its first call: the
    /// `percent` % point of those for which `is_of` holds, and how many they are.
    pub(crate) fn delay(&self, percent: usize, is_of: impl Fn(&str) -> bool) -> (f64, usize) {
        let first = self.got.iter().filter(|got| got.attempt == 1 && is_of(&got.operation));
        let mut delays: Vec<f64> =
            first.filter_map(|got| Some(ms(got.at.checked_sub(received(&got.id)? * 1000)?))).collect();
        delays.sort_by(f64::total_cmp);
        (percentile(&delays, percent).unwrap_or_default(), delays.len())
    }

    /// How long after the first call of this event the first of that one came.
    pub(crate) fn between(&self, event: &str, next: &str) -> Option<Duration> {
        let first = |operation: &str| self.got.iter().find(|got| got.operation == operation).map(|got| got.at);
        Some(Duration::from_micros(first(next)?.checked_sub(first(event)?)?))
    }

    /// The calls of keys that begin with this.
    pub(crate) fn of_keys(mut self, name: &str) -> Self {
        self.got.retain(|got| got.operation.starts_with(name));
        self.ok.retain(|operation| operation.starts_with(name));
        self
    }

    /// How many events were not answered with OK though there were fewer calls of them.
    pub(crate) fn given_up(&self, attempts: usize) -> usize {
        let mut calls: HashMap<&str, usize> = HashMap::new();
        for got in &self.got {
            *calls.entry(&got.operation).or_default() += 1;
        }
        calls.iter().filter(|(operation, calls)| **calls < attempts && !self.ok.contains(**operation)).count()
    }

    /// How many calls there were of this event.
    pub(crate) fn attempts(&self, event: &str) -> usize {
        self.got.iter().filter(|got| got.operation == event).count()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number for people")]
fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// When a UUID of version 7 was made, in milliseconds.
fn received(id: &str) -> Option<u64> {
    u64::from_str_radix(&id.get(..13)?.replace('-', ""), 16).ok()
}

/// What the bridge has counted of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) delivered: usize,
    pub(crate) dropped: usize,
    pub(crate) expired: usize,
    pub(crate) rejected: usize,
    /// From the metrics while it runs, and from its last log line after that.
    pub(crate) lost: usize,
    pub(crate) queued: usize,
    pub(crate) retries: usize,
}

impl Counted {
    pub(crate) async fn by(bridge: &Program) -> anyhow::Result<Self> {
        let metrics = Metrics::scrape(bridge.admin().context("no listener for operators")?).await?;
        let of = |result: &str| metrics.count(DELIVERIES, &format!("result=\"{result}\""));
        Ok(Self {
            delivered: of("delivered"),
            dropped: of("dropped"),
            expired: of("expired"),
            rejected: of("rejected"),
            lost: of("lost"),
            queued: metrics.count("openim_bridge_delivery_queue", ""),
            retries: metrics.count("openim_bridge_delivery_retries_total", ""),
        })
    }

    /// Once nothing is queued, or `limit` has passed.
    pub(crate) async fn settled(bridge: &Program, limit: Duration) -> anyhow::Result<Self> {
        let since = Instant::now();
        loop {
            let counted = Self::by(bridge).await?;
            if counted.queued == 0 || since.elapsed() > limit {
                // What has just left the queue is counted by now.
                sleep(Duration::from_millis(100)).await;
                return Self::by(bridge).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn sum(&self) -> usize {
        let Self { delivered, dropped, expired, rejected, lost, queued, .. } = self;
        delivered + dropped + expired + rejected + lost + queued
    }
}

impl Run {
    /// Every event that was answered is in exactly one of the numbers that the bridge counts, and the service has really been
    /// told of as many as were delivered, and of those of each key in order.
    pub(crate) fn even(&mut self, sent: &Sent, counted: &Counted, record: &Record) {
        let Counted { delivered, dropped, expired, rejected, lost, queued, retries } = *counted;
        let answered = sent.answered();
        let others =
            [("dropped", dropped), ("expired", expired), ("rejected", rejected), ("lost", lost), ("queued", queued)];
        let others = others.into_iter().filter(|(_, number)| *number > 0);
        let others: Vec<_> = others.map(|(what, number)| format!("{number} {what}, ")).collect();
        self.note(format!("{answered} events: {delivered} delivered, {}{retries} retries", others.concat()));
        self.promise(
            counted.sum() == answered,
            format!("{answered} events were answered, and the bridge has counted {}: {counted:?}", counted.sum()),
        );
        let told = record.ok.len();
        self.promise(told == delivered, format!("{delivered} were delivered, and the service was told of {told}"));
        let wrong = record.wrong(sent);
        self.promise(
            wrong.is_empty(),
            format!("{} calls were wrong, such as: {}", wrong.len(), wrong.first().cloned().unwrap_or_default()),
        );
    }

    /// All events were answered, at once, and nothing but delivered in the end.
    pub(crate) fn all_delivered(&mut self, sent: &Sent, counted: &Counted, record: &Record) {
        self.even(sent, counted, record);
        self.all_answered(sent);
        let answered = sent.answered();
        self.promise(counted.delivered == answered, format!("{} of {answered} were delivered", counted.delivered));
    }

    /// However the service was, OpenIM had its answer at once.
    pub(crate) fn all_answered(&mut self, sent: &Sent) {
        let why = sent.unanswered.values().next().cloned().unwrap_or_default();
        self.promise(sent.unanswered.is_empty(), format!("{} events were not answered: {why}", sent.unanswered.len()));
        let (_, slowest) = sent.took();
        self.note(format!("slowest event answered in {:.0} ms", slowest * 1000.0));
        self.promise(slowest <= PROMPT.as_secs_f64(), format!("an event was answered after {slowest:.1} s"));
    }
}

/// What it has logged as lost at its end.
pub(crate) fn lost(bridge: &Program) -> anyhow::Result<usize> {
    let Some(line) = bridge.lines_with("after callbacks are lost").pop() else { return Ok(0) };
    let line: serde_json::Value = serde_json::from_str(&line)?;
    Ok(usize::try_from(line["lost"].as_u64().context("a line without `lost`")?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_receipt_is_in_the_id() {
        assert_eq!(received("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), Some(0x017f_22e2_79b0));
        assert_eq!(received("-"), None);
    }
}
