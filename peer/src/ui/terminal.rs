//! The terminal itself: how wide it is, and its mode.

use std::io::{self, Write as _};

use rustix::termios::{self, OptionalActions, Termios};

/// The width of a terminal that does not tell.
const COLUMNS_DEFAULT: usize = 80;

/// A terminal is never taken for narrower than this.
const COLUMNS_MIN: usize = 20;

/// The columns of the terminal at stdout.
pub(super) fn columns() -> usize {
    let size = termios::tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    columns.unwrap_or(COLUMNS_DEFAULT).max(COLUMNS_MIN)
}

/// Puts the terminal's mode back when dropped, where a line is still being edited then: the thread that does it cannot be
/// stopped, and the shell would be left with a terminal that shows nothing of what is typed.
pub(super) struct ModeGuard(Option<Termios>);

impl ModeGuard {
    /// Remembers the mode as it is now.
    pub(super) fn new() -> Self {
        Self(termios::tcgetattr(io::stdin()).ok())
    }
}

impl Drop for ModeGuard {
    fn drop(&mut self) {
        let Some(before) = &self.0 else { return };
        let is_as_before = termios::tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes == before.local_modes);
        if !is_as_before {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
            // No bracketed paste any more, the cursor visible, below the prompt.
            let _ = io::stdout().write_all(b"\x1b[?2004l\x1b[?25h\r\n");
            let _ = io::stdout().flush();
        }
    }
}
