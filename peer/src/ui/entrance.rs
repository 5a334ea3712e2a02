//! What is settled with the user before the chat begins: whether a registry is the right one, and whether this device is his.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use rustix::termios::{self, LocalModes, OptionalActions};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    input::{self, Input},
    json,
    safe::visible_line,
};
use crate::{
    driver::request::Secret,
    node::{account::AccountNews, event::Code},
};

/// How long a script that is refused may take to ask for `/link`.
const LINK_PATIENCE: Duration = Duration::from_secs(3);

/// Why the user is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The registry was never met before.
    UnknownRegistry,
    /// The name is somebody's, and nothing shows that it is this device's.
    NameTaken,
    /// Anything else.
    Other,
}

/// What the user does about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The registry is the right one.
    Trust,
    /// This is the account's password.
    Password(Secret),
    /// Another device of his is to approve this one.
    Link,
    /// Nothing.
    Leave,
}

/// Where the user is: at a terminal, or behind a pipe.
#[derive(Debug)]
pub struct Entrance {
    json: bool,
    at_terminal: bool,
    lines: Option<mpsc::Receiver<Input>>,
}

impl Entrance {
    /// Looks where the user is. Nothing is read yet.
    pub fn new(json: bool) -> Self {
        let at_terminal = !json && io::stdin().is_terminal() && io::stdout().is_terminal();
        Self {
            json,
            at_terminal,
            lines: None,
        }
    }

    /// The lines that were read from a pipe, where any were: what follows them is for the chat.
    pub fn into_lines(self) -> Option<mpsc::Receiver<Input>> {
        self.lines
    }

    /// Tells of an obstacle, and asks what is to be done where that is possible.
    ///
    /// # Errors
    /// The terminal or the pipe fails.
    pub async fn ask(&mut self, obstacle: Obstacle, code: Code, message: &str) -> io::Result<Answer> {
        if self.json {
            json::print_error(code, message, &mut io::stdout().lock())?;
            return match obstacle {
                Obstacle::NameTaken => self.wait_for_link().await,
                Obstacle::UnknownRegistry | Obstacle::Other => Ok(Answer::Leave),
            };
        }
        if !self.at_terminal || obstacle == Obstacle::Other {
            return Ok(Answer::Leave);
        }
        let message = visible_line(message);
        // Not on this thread, which keeps the registry waiting otherwise.
        let asked = tokio::task::spawn_blocking(move || match obstacle {
            Obstacle::UnknownRegistry => {
                let answer = question(&format!("{message}\nIs that the right one? [y/N] "))?;
                let is_right = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
                Ok(if is_right { Answer::Trust } else { Answer::Leave })
            }
            _ => {
                let prompt = "Password, or /link for a code, or Enter to leave: ";
                let answer = hidden(&format!("{message}\n{prompt}"))?;
                Ok(match answer.trim_end_matches(['\n', '\r']) {
                    "" => Answer::Leave,
                    "/link" => Answer::Link,
                    password => Answer::Password(Secret::new(password.to_owned())),
                })
            }
        });
        asked.await.map_err(io::Error::other)?
    }

    /// Tells a person that the registries, each HOST:PORT, are still being asked.
    ///
    /// # Errors
    /// Nobody reads.
    pub fn looks_for(&self, registries: &[String]) -> io::Result<()> {
        if !self.at_terminal {
            return Ok(());
        }
        let at = visible_line(&registries.join(", "));
        let mut out = io::stdout().lock();
        writeln!(out, "Looking for the registry at {at} …")?;
        out.flush()
    }

    /// Tells how a device that waits can be approved.
    ///
    /// # Errors
    /// Nobody reads.
    pub fn show(&self, news: &AccountNews) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return json::print_account(news, &mut out);
        }
        if let AccountNews::Code { code, valid_s } = news {
            let minutes = valid_s.div_ceil(60);
            writeln!(out, "On a device on which you are logged in, type: /approve {code}")?;
            writeln!(out, "Waiting for it, {minutes} minutes at most; Ctrl-C leaves.")?;
        }
        out.flush()
    }

    async fn wait_for_link(&mut self) -> io::Result<Answer> {
        let until = Instant::now() + LINK_PATIENCE;
        let lines = match &mut self.lines {
            Some(lines) => lines,
            lines => lines.insert(input::read_stdin()?),
        };
        loop {
            return match timeout_at(until, lines.recv()).await {
                Ok(Some(Input::Line(line))) if line.trim() == "/link" => Ok(Answer::Link),
                // What was meant for the chat is nothing for a door.
                Ok(Some(Input::Line(_) | Input::Unreadable(..))) => continue,
                Ok(_) | Err(_) => Ok(Answer::Leave),
            };
        }
    }
}

fn question(prompt: &str) -> io::Result<String> {
    let mut out = io::stdout().lock();
    write!(out, "{prompt}")?;
    out.flush()?;
    drop(out);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// A question whose answer is not shown.
fn hidden(prompt: &str) -> io::Result<String> {
    let before = termios::tcgetattr(io::stdin())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
    let answer = question(prompt);
    termios::tcsetattr(io::stdin(), OptionalActions::Now, &before)?;
    // The Enter was not shown either.
    writeln!(io::stdout().lock())?;
    answer
}
