//! What the user sees and types: the prompt, the plain mode where there is no terminal, the JSON mode for scripts, and printed
//! logs. Nothing outside this module prints, and nothing in it knows the network or the disk.
//!
//! One task ([`run`]) moves requests, events, lines and output between channels; a `Front` decides, and is pure. Whatever
//! blocks (reading a line, writing to a terminal that is stopped) has a thread of its own.

pub mod colour;
pub mod command;
mod complete;
mod editor;
pub mod entrance;
pub mod find;
mod front;
mod help;
pub mod input;
pub mod json;
pub mod log_print;
pub mod output;
pub mod render;
mod repl;
pub mod safe;
mod secret;
pub mod session;
mod status;
mod terminal;
#[cfg(test)]
mod testing;
pub mod time;
pub mod width;

use std::{
    collections::VecDeque,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use tokio::sync::mpsc;

use self::{input::Input, output::Output, session::Session};
use crate::{
    driver::request::Request,
    node::{
        door::Door,
        event::{Code, Event},
        types::UserName,
    },
};

/// The most events that are taken at once before what they say is written.
const EVENTS_AT_ONCE_MAX: usize = 256;

/// What a user interface is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The own user.
    pub user: UserName,
    /// Speak JSON.
    pub json: bool,
    /// Rooms to enter at once.
    pub join: Vec<Door>,
    /// The file that keeps what was typed, for the next start; none keeps nothing.
    pub history: Option<PathBuf>,
    /// Ring the terminal's bell when somebody names the own user.
    pub bell: bool,
}

/// How a user interface ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the user wished, and all was told to him.
    Clean,
    /// As the user wished, but something that a pipe typed was refused. Nobody was there to read it and type it anew.
    Refused,
    /// The peer had to end, or ended without a word.
    Failed,
}

impl Ending {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Refused | Self::Failed => 1,
        }
    }
}

/// A user interface without its channels and threads.
trait Front {
    /// What follows from a typed line.
    fn input(&mut self, input: Input) -> Vec<Request>;

    /// What follows from something that the peer tells.
    fn event(&mut self, event: Event) -> Vec<Request>;

    /// How it ends, where the peer ends in order. Where every refusal is an event that a script reads, all is well.
    fn ending(&self) -> Ending {
        Ending::Clean
    }

    /// What is to be written since the last call.
    fn take_output(&mut self) -> Option<Output>;
}

/// Runs the user interface until the peer says bye: with a prompt on a terminal, with plain lines elsewhere, or with JSON. `lines`
/// are those of a pipe that is read already.
///
/// # Errors
/// The threads for input and output cannot be started.
pub async fn run(
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<Event>,
    lines: Option<mpsc::Receiver<Input>>,
    options: Options,
) -> io::Result<Ending> {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if !options.json && is_terminal && !dumb {
        return repl::run(requests, events, options).await;
    }
    let lines = match lines {
        Some(lines) => lines,
        None => input::read_stdin()?,
    };
    let (output, writer) = output::write_stdout()?;
    let ending = if options.json {
        pump(
            requests,
            events,
            lines,
            output,
            json::JsonFront::new(options.user),
            options.join,
        )
        .await
    } else {
        let (is_typed, is_read) = (io::stdin().is_terminal(), io::stdout().is_terminal());
        let front = front::TextFront::plain(options.user, is_typed, is_read);
        pump(requests, events, lines, output, front, options.join).await
    };
    // The sender is gone, so this waits only until the last line is written.
    // Not on this thread, which has more to do if nobody reads.
    let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    Ok(ending)
}

/// Moves everything between the channels. Never waits for the peer while the peer waits for it: requests go out as there is
/// room, and meanwhile events come in.
async fn pump(
    requests: mpsc::Sender<Request>,
    mut events: mpsc::Receiver<Event>,
    mut inputs: mpsc::Receiver<Input>,
    output: mpsc::Sender<Output>,
    mut front: impl Front,
    join: Vec<Door>,
) -> Ending {
    let mut outgoing: VecDeque<Request> = VecDeque::new();
    let (mut ready, mut quitting, mut failed) = (false, false, false);
    loop {
        let mut arrived = Vec::new();
        let mut typed = None;
        tokio::select! {
            permit = requests.reserve(), if !outgoing.is_empty() => match (permit, outgoing.pop_front()) {
                (Ok(permit), Some(request)) => permit.send(request),
                // The peer ends; what it says last is still to come.
                _ => outgoing.clear(),
            },
            count = events.recv_many(&mut arrived, EVENTS_AT_ONCE_MAX) => if count == 0 {
                return Ending::Failed;
            },
            input = inputs.recv(), if ready && !quitting && outgoing.is_empty() => typed = Some(input.unwrap_or(Input::End)),
            () = output.closed(), if !quitting => typed = Some(Input::End),
        }
        let mut bye = false;
        for event in arrived {
            failed |= matches!(&event, Event::Notice(notice) if notice.code == Code::DiskFailed);
            bye |= event == Event::Bye;
            let first = matches!(event, Event::Ready(_)) && !ready;
            outgoing.extend(front.event(event));
            if first {
                ready = true;
                let joins = join.iter().map(|door| Input::Join(door.clone()));
                outgoing.extend(joins.flat_map(|input| front.input(input)).collect::<Vec<_>>());
            }
        }
        outgoing.extend(typed.map(|input| front.input(input)).into_iter().flatten());
        quitting |= outgoing.contains(&Request::Quit);
        if let Some(text) = front.take_output() {
            // Nobody reads any more: the next round sees that the channel is closed.
            let _ = output.send(text).await;
        }
        if bye {
            return if failed { Ending::Failed } else { front.ending() };
        }
    }
}

/// A conversation is remembered as the current one once the peer says that the user is in it.
fn current_if_joined(session: &Session, event: &Event) -> Vec<Request> {
    match event {
        Event::Joined(joined) if session.is_current(&joined.conversation) => {
            vec![Request::Current(joined.conversation.clone())]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
