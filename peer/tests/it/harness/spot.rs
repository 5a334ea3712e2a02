//! Where a process runs: as the test itself does, or in a spot that differs in one thing, such as its clock or its network.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

/// What comes before a program, and what stands in its environment. By default nothing of either.
#[derive(Clone, Debug, Default)]
pub struct Spot {
    before: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Spot {
    /// A spot where programs are started by another one, which becomes the program, so that the process is its own.
    pub fn behind<S: AsRef<OsStr>>(words: &[S]) -> Self {
        Self {
            before: words.iter().map(|word| word.as_ref().to_owned()).collect(),
            environment: Vec::new(),
        }
    }

    /// A spot with more in its environment.
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// A program there, with nothing of this machine's settings.
    pub fn program(&self, program: &Path) -> Command {
        let mut words = self.before.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().expect("the program at least"));
        command
            .args(words)
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env_remove("PEERCHAT_LOG")
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
