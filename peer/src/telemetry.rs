//! The log of the program for those who look for a fault: silent unless `PEERCHAT_LOG` asks for it, as in
//! `PEERCHAT_LOG=peerchat=debug`, and on stderr, so that it never mixes with what a script reads. The peer's
//! one thread does not wait for it.

use std::io;

use peerchat_identity::log_lines::LogLines;
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged.
const VARIABLE: &str = "PEERCHAT_LOG";

/// Starts logging, if it is asked for. What else is to be said on stderr goes through the same lines then.
pub fn init() -> Option<LogLines> {
    let filter = EnvFilter::try_from_env(VARIABLE).ok()?;
    let lines = lines();
    let out = lines.clone();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(move || out.clone())
        // It would be printed to stderr, and panic where that is closed.
        .log_internal_errors(false)
        .try_init();
    // A second subscriber is refused; the first one goes on.
    let _ = started;
    Some(lines)
}

/// What is said on stderr, whether or not somebody takes it.
pub fn lines() -> LogLines {
    LogLines::to(io::stderr())
}
