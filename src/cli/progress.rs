//! Where a long command is, in one line that is written again and again. Only where standard error is a terminal.

use std::io::{self, IsTerminal as _, Write as _};

/// The line. Dropped, it is gone from the terminal.
pub(super) struct Progress {
    shown: bool,
    terminal: bool,
}

/// Back to the first column, and clear to the end of the line.
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub(super) fn new() -> Self {
        Self { shown: false, terminal: io::stderr().is_terminal() }
    }

    /// Replaces the line. Keep it shorter than a terminal is wide.
    pub(super) fn show(&mut self, text: &str) {
        if self.terminal {
            self.shown = true;
            let mut err = io::stderr().lock();
            let _closed = write!(err, "{CLEAR}{text}").and_then(|()| err.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let mut err = io::stderr().lock();
            let _closed = write!(err, "{CLEAR}").and_then(|()| err.flush());
        }
    }
}
