//! `peerchat bench`: measures the product on this machine as it is shipped, and what the machine can do at best beside it.
//!
//! `scenario` has what is measured, a file for each family; `site` is a registry with peers, each a process in which `member` is the
//! front; `floor` is the measure for all of it; `crew` starts and ends processes, which speak as `wire` says; `check` compares the
//! logs at the end of each scenario; `samples` and `outcome` are what was found, `report` shows it.

mod check;
mod crew;
mod floor;
mod folder;
mod machine;
mod member;
mod outcome;
mod part;
mod process;
mod progress;
mod registry;
mod relay;
mod report;
mod samples;
mod scenario;
mod seed;
mod settings;
mod site;
mod wire;

pub use part::run as run_part;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use self::{
    crew::Crew, folder::Folder, machine::Machine, outcome::Outcome, progress::Progress, report::page_file::PageFile,
    settings::Settings,
};
use crate::cli;

/// There are no figures, or none that count.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A process cannot be started, fails, or ends unasked.
    #[error("{name}: {why}")]
    Process {
        /// Which one.
        name: String,
        /// Why.
        why: String,
    },
    /// A process ended unasked.
    #[error("{0}")]
    Died(String),
    /// The temporary folder cannot be used.
    #[error("{}: {source}; TMPDIR says where there is room for the data of a bench", path.display())]
    Folder {
        /// Which folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The page cannot be written.
    #[error("cannot write the report {}: {source}", path.display())]
    Report {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was measured is wrong, so how fast it was is of no matter.
    #[error("WRONG: {0}; there are no figures where the logs are not complete and equal")]
    Wrong(String),
    /// There is nothing to measure against.
    #[error("this machine's floor cannot be measured: {0}")]
    Floor(String),
    /// Somebody ended it.
    #[error("interrupted; all that was started is stopped and removed")]
    Interrupted {
        /// The exit code that shells expect.
        code: u8,
    },
    /// The result cannot be printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl BenchError {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted { code } => *code,
            _ => 1,
        }
    }
}

/// What a scenario needs.
struct Bench {
    crew: Crew,
    folder: Folder,
    settings: Settings,
    progress: Progress,
}

/// Measures, and prints what was found.
///
/// # Errors
/// See [`BenchError`]. Whatever it is, no process and no folder is left.
pub async fn run(typed: cli::bench::Bench) -> Result<ExitCode, BenchError> {
    let settings = Settings::new(&typed)?;
    if typed.seed_figures {
        return print(&seed::page()).map(|()| ExitCode::SUCCESS);
    }
    let page = typed.report.map(PageFile::prepare).transpose()?;
    let mut signals = Signals::new()?;
    let (crew, mut deaths) = Crew::new();
    let bench = Bench {
        crew: crew.clone(),
        folder: Folder::new()?,
        progress: Progress::new(&settings),
        settings,
    };
    let measured = tokio::select! {
        measured = scenario::run_all(&bench) => measured,
        dead = death(&mut deaths) => Err(BenchError::Died(dead)),
        code = signals.next() => Err(BenchError::Interrupted { code }),
    };
    crew.stop().await;
    bench.progress.end();
    let Bench { settings, folder, .. } = bench;
    // Removed before anything is printed: whoever reads the result may start the next one.
    drop(folder);
    let result = measured.map(|outcomes| Findings {
        machine: Machine::this(),
        outcomes,
        settings,
    })?;
    if let Some(page) = page {
        page.write(&report::page::render(&result))?;
    }
    print(&report::render(&result)).map(|()| ExitCode::SUCCESS)
}

/// All that was found.
struct Findings {
    machine: Machine,
    settings: Settings,
    outcomes: Vec<Outcome>,
}

async fn death(deaths: &mut mpsc::Receiver<String>) -> String {
    match deaths.recv().await {
        Some(dead) => dead,
        None => std::future::pending().await,
    }
}

fn print(text: &str) -> Result<(), BenchError> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        // Whoever reads may have enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(BenchError::Print(error)),
        _ => Ok(()),
    }
}

/// What the system sends to end a bench.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, BenchError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one; answers the exit code that belongs to it.
    async fn next(&mut self) -> u8 {
        let number = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
        };
        u8::try_from(128 + number.as_raw_value()).unwrap_or(1)
    }
}
