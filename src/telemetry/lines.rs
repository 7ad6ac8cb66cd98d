//! Where log lines go: to stderr, through a thread of its own, so that a callback never waits for whoever reads them.
//! What does not fit into the queue is lost.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

/// So many lines wait at most, of about a kilobyte each at most.
const QUEUE: usize = 1024;

/// How long the end of the program waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();

enum Message {
    Line(Vec<u8>),
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

/// Takes whole lines; `tracing-subscriber` writes each at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

impl Lines {
    /// Starts the thread. Where the system gives none, lines are written in place.
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        if thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver)).is_ok() {
            let _already_there = WRITER.set(sender);
        }
        Self
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match WRITER.get() {
            Some(writer) => {
                let _full = writer.try_send(Message::Line(line.to_vec()));
                Ok(line.len())
            }
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Line(line) => {
                let _lost = io::stderr().write_all(&line);
            }
            Message::Flush(done) => {
                let _gone = done.try_send(());
            }
        }
    }
}

/// Waits until the lines so far are written, but not for a reader that has stopped reading.
pub(super) fn flush() {
    let (done, is_done) = mpsc::sync_channel(1);
    if let Some(writer) = WRITER.get()
        && writer.try_send(Message::Flush(done)).is_ok()
    {
        let _stuck = is_done.recv_timeout(LAST_LINES);
    }
}
