//! Starting the program, and waiting for conditions with a deadline. Who calls it is in [`caller`](crate::caller).

use std::{
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tonic::{Code, Status};

/// How long anything may take that should happen at once. Generous, for machines that are busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A running registry. Killed when dropped.
pub(crate) struct Registry {
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerchat-registry"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

impl Registry {
    /// In memory, and open to everybody.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With what it keeps in this folder.
    pub(crate) fn start_in(folder: &Path) -> Self {
        Self::start_with(&["--data", folder.to_str().unwrap()])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_by(program(), arguments)
    }

    /// By a command that has something to say to the process itself.
    pub(crate) fn start_by(command: Command, arguments: &[&str]) -> Self {
        Self::start_logging(command, arguments, Stdio::piped())
    }

    /// With a log that goes elsewhere than to this test.
    pub(crate) fn start_logging(mut command: Command, arguments: &[&str], stderr: Stdio) -> Self {
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, written) = (child.stderr.take(), Arc::clone(&log));
        thread::spawn(move || {
            for line in stderr
                .into_iter()
                .flat_map(|log| BufReader::new(log).lines())
                .map_while(Result::ok)
            {
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = line
            .strip_prefix("listening on ")
            .expect("the first line tells the address")
            .trim()
            .to_owned();
        Self { child, address, log }
    }

    /// All that was logged up to now.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether the log says this already.
    pub(crate) fn has_logged(&self, part: &str) -> bool {
        self.log().contains(part)
    }

    /// Waits until the log says this, and answers the line.
    pub(crate) async fn logged(&self, part: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{part:?} was not logged:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal by name, such as TERM.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child).await
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.ended().await.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a process has ended by itself.
pub(crate) async fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            panic!("the program has not ended");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the program with arguments with which it must end at once: its exit code and what it wrote to stderr.
pub(crate) async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let (code, _, text) = run_whole(arguments).await;
    (code, text)
}

/// The same, with what it wrote to stdout before that to stderr.
pub(crate) async fn run_whole(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program();
    command.args(arguments);
    output_of(command).await
}

/// The same of a command that is ready.
pub(crate) async fn output_of(mut command: Command) -> (Option<i32>, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = ended(&mut child).await;
    let (mut printed, mut text) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (status.code(), printed, text)
}

/// The code and text of a refusal.
pub(crate) fn refused<T>(answer: Result<T, Status>) -> (Code, String) {
    match answer {
        Ok(_) => panic!("not refused"),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}
