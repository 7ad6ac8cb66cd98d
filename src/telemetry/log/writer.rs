//! Where log lines go: to stderr, through a thread of its own, so that a callback never waits for whoever reads them.
//! What does not fit into the queue is lost.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

/// So many lines wait at most, of about a kilobyte each at most.
const QUEUE: usize = 1024;

/// How long the end of the program waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// From a suppressed line to the one that tells of it.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// Lines were suppressed, and nobody has told of it yet.
static SUPPRESSED: AtomicBool = AtomicBool::new(false);

/// Lines that found the queue full, since the start.
static LOST: AtomicU64 = AtomicU64::new(0);

static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();

enum Message {
    Line(Vec<u8>),
    Suppressed,
    /// Answered once all lines before it are written.
    Flush(SyncSender<()>),
}

/// Takes whole lines; `tracing-subscriber` writes each at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

impl Lines {
    /// Starts the thread. Where the system gives none, lines are written in place. `tell` is called some time after
    /// [`tell_of_suppressed`], to write a line about it; it returns whether there is more to tell.
    pub(super) fn start(tell: fn() -> bool) -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        if thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, tell)).is_ok() {
            let _already_there = WRITER.set(sender);
        }
        Self
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match WRITER.get() {
            Some(writer) => {
                if writer.try_send(Message::Line(line.to_vec())).is_err() {
                    LOST.fetch_add(1, Relaxed);
                }
                Ok(line.len())
            }
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many lines found the queue full since the start.
pub(super) fn lost() -> u64 {
    LOST.load(Relaxed)
}

/// Lines are suppressed now, so that some time later the writer tells how many, unless another line has.
pub(super) fn tell_of_suppressed() {
    if !SUPPRESSED.load(SeqCst) && !SUPPRESSED.swap(true, SeqCst) {
        // Where the queue is full, the writer is awake, and looks anyway.
        let _full = WRITER.get().map(|writer| writer.try_send(Message::Suppressed));
    }
}

fn write_all(messages: &Receiver<Message>, tell: fn() -> bool) {
    let mut tell_at: Option<Instant> = None;
    loop {
        let next = match tell_at {
            None => messages.recv().map_err(RecvTimeoutError::from),
            Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match next {
            Ok(Message::Line(line)) => {
                let _lost = io::stderr().write_all(&line);
            }
            Ok(Message::Suppressed) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Flush(done)) => {
                let _gone = done.try_send(());
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        tell_at = match tell_at {
            // Its line goes into the queue like any other.
            Some(at) if at <= Instant::now() => {
                SUPPRESSED.store(false, SeqCst);
                SUPPRESSED.fetch_or(tell(), SeqCst);
                None
            }
            waiting => waiting,
        };
        if tell_at.is_none() && SUPPRESSED.load(SeqCst) {
            tell_at = Some(Instant::now() + TELL_AFTER);
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
