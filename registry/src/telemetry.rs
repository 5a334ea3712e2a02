//! The log of the program, on stderr. Whatever becomes of that, the registry serves on.

use std::io::{self, IsTerminal as _};

use peerchat_identity::log_lines::LogLines;
use tracing_subscriber::EnvFilter;

/// What is logged where `RUST_LOG` says nothing: log-ins and log-outs, rooms created and dismissed, lost leases, and trouble.
const FILTER_DEFAULT: &str = "warn,peerchat_registry=info";

/// Starts logging to stderr. Names that are logged have been checked: they hold no control characters, so nobody can forge a
/// line. To be called once; where the process logs already, that goes on. What else is to be said on stderr goes through the same lines.
pub fn init() -> LogLines {
    let lines = LogLines::to(io::stderr());
    let out = lines.clone();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT));
    // https://no-color.org: set and not empty.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_writer(move || out.clone())
        // It would be printed to stderr, and panic where that is closed.
        .log_internal_errors(false)
        .with_target(false)
        .try_init();
    // A second subscriber is refused; the first one goes on.
    let _ = started;
    lines
}
