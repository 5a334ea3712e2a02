//! The processes of a bench: started, spoken with, watched, and ended together. That one of them ends unasked is known at once, whoever
//! was being waited for.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use super::{BenchError, wire::Report};

/// How many reports of a process wait. It tells one for an order, and now and then how far it is.
const REPORTS_MAX: usize = 64;
/// How long a process may say nothing while something is wanted of it. Longer than anything takes, and shorter than anybody's patience.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a process may take to end in order.
const END_WAIT: Duration = Duration::from_secs(10);
/// How much of what a process complains of is kept.
const COMPLAINT_BYTES_MAX: u64 = 4 * 1024;
/// How many processes that ended are remembered until somebody looks.
const DEATHS_MAX: usize = 256;

/// All processes of a bench.
#[derive(Debug, Clone)]
pub struct Crew {
    children: Arc<Mutex<VecDeque<Child>>>,
    deaths: mpsc::Sender<String>,
}

impl Crew {
    /// Nobody yet, and where it is told who ended unasked, and why.
    pub fn new() -> (Self, mpsc::Receiver<String>) {
        let (deaths, told) = mpsc::channel(DEATHS_MAX);
        let crew = Self {
            children: Arc::default(),
            deaths,
        };
        (crew, told)
    }

    fn children(&self) -> MutexGuard<'_, VecDeque<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts this program with other arguments, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or ends at once.
    pub async fn start<S: AsRef<OsStr>>(&self, name: &str, args: &[S]) -> Result<Hand, BenchError> {
        let mut hand = self.spawn(name, args)?;
        match hand.report().await? {
            Report::Ready { listen } => hand.listen = listen,
            other => return Err(hand.unexpected(&other)),
        }
        Ok(hand)
    }

    fn spawn<S: AsRef<OsStr>>(&self, name: &str, args: &[S]) -> Result<Hand, BenchError> {
        let failed = |error: io::Error| BenchError::Process {
            name: name.to_owned(),
            why: error.to_string(),
        };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("bench-part").args(args);
        // Ctrl-C at the terminal is for the bench alone, which then ends the others.
        command.process_group(0).kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        self.children().push_back(child);
        let (Some(orders), Some(out), Some(complaints)) = pipes else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let leaving = Arc::new(Mutex::new(false));
        tokio::spawn(listen(
            name.to_owned(),
            out,
            complaints,
            sender,
            (self.deaths.clone(), Arc::clone(&leaving)),
        ));
        Ok(Hand {
            name: name.to_owned(),
            pid,
            listen: String::new(),
            orders: Some(orders),
            reports,
            leaving,
        })
    }

    /// Ends all that still run, at once and without asking, and waits until they have ended.
    pub async fn stop(&self) {
        let children = std::mem::take(&mut *self.children());
        for mut child in children {
            // It has ended already where these fail.
            let _ended = child.start_kill();
            let _ended = child.wait().await;
        }
    }
}

/// Reads what a process says until it ends.
async fn listen(
    name: String,
    out: impl AsyncRead + Unpin,
    mut complaints: impl AsyncRead + Unpin + Send + 'static,
    reports: mpsc::Sender<Report>,
    (deaths, leaving): (mpsc::Sender<String>, Arc<Mutex<bool>>),
) {
    let complaint = tokio::spawn(async move {
        let mut text = Vec::new();
        // Read to the end, or the process would wait for somebody to read.
        let _closed = (&mut complaints).take(COMPLAINT_BYTES_MAX).read_to_end(&mut text).await;
        let _closed = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let mut lines = BufReader::new(out).lines();
    let mut last_words = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(report) => {
                if let Report::Failed { why } = &report {
                    last_words.clone_from(why);
                }
                // Nobody waits for it where the scenario is over.
                let _over = reports.send(report).await;
            }
            Err(_) => last_words = line,
        }
    }
    let complaint = complaint.await.unwrap_or_default();
    if !*leaving.lock().unwrap_or_else(PoisonError::into_inner) {
        let why = if last_words.is_empty() { complaint } else { last_words };
        let why = if why.is_empty() {
            "without a word".to_owned()
        } else {
            why
        };
        let _nobody_looks = deaths.try_send(format!("{name} ended unasked: {why}"));
    }
}

/// One process.
#[derive(Debug)]
pub struct Hand {
    /// Who it is, to be told.
    pub name: String,
    /// Its number at the system.
    pub pid: u32,
    /// Where it listens.
    pub listen: String,
    orders: Option<ChildStdin>,
    reports: mpsc::Receiver<Report>,
    leaving: Arc<Mutex<bool>>,
}

impl Hand {
    /// Gives an order.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn tell(&mut self, order: &impl Serialize) -> Result<(), BenchError> {
        let mut line = serde_json::to_vec(order).map_err(|error| self.failed(error.to_string()))?;
        line.push(b'\n');
        let written = match &mut self.orders {
            Some(orders) => orders.write_all(&line).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| self.failed(error.to_string()))
    }

    /// What it reports next, progress left out.
    ///
    /// # Errors
    /// It reports a failure, has ended, or says nothing for too long.
    pub async fn report(&mut self) -> Result<Report, BenchError> {
        loop {
            match timeout(SILENCE_MAX, self.reports.recv()).await {
                Ok(Some(Report::Progress { .. })) => {}
                Ok(Some(Report::Failed { why })) => return Err(self.failed(why)),
                Ok(Some(report)) => return Ok(report),
                // Who ended and why is told by the crew.
                Ok(None) => return std::future::pending().await,
                Err(_) => return Err(self.failed(format!("no word for {} s", SILENCE_MAX.as_secs()))),
            }
        }
    }

    /// Gives an order and waits for what comes of it.
    ///
    /// # Errors
    /// As [`Hand::tell`] and [`Hand::report`].
    pub async fn ask(&mut self, order: &impl Serialize) -> Result<Report, BenchError> {
        self.tell(order).await?;
        self.report().await
    }

    /// The same where the answer is a number.
    ///
    /// # Errors
    /// As [`Hand::ask`], and where it is something else.
    pub async fn count(&mut self, order: &impl Serialize) -> Result<u64, BenchError> {
        match self.ask(order).await? {
            Report::Count { n } => Ok(n),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The samples that were ordered before.
    ///
    /// # Errors
    /// As [`Hand::report`], and where it is something else.
    pub async fn samples(&mut self) -> Result<Vec<u64>, BenchError> {
        match self.report().await? {
            Report::Samples { ns } => Ok(ns),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Ends the process in order, and waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(mut self) -> Result<(), BenchError> {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = true;
        drop(self.orders.take());
        let ended = async { while self.reports.recv().await.is_some() {} };
        match timeout(END_WAIT, ended).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failed("it does not end".to_owned())),
        }
    }

    /// An error about this process.
    pub fn failed(&self, why: String) -> BenchError {
        BenchError::Process {
            name: self.name.clone(),
            why,
        }
    }

    /// The error that it said something else than what was asked.
    pub fn unexpected(&self, report: &Report) -> BenchError {
        let mut said = format!("{report:?}");
        said.truncate(said.floor_char_boundary(200));
        self.failed(format!("unexpected: {said}"))
    }
}
