//! What the bench and its processes say to each other: an object per line, orders on standard input and reports on standard output.
//! The end of the input ends the process, so none outlives a bench that was killed.

use std::{
    io::{self, BufRead as _, Write as _},
    thread,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

/// How many orders wait. The bench gives the next one when the one before is carried out.
const ORDERS_MAX: usize = 4;

/// What a member is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Be in a room. Answered by [`Report::Done`].
    Join {
        /// Its name.
        room: String,
    },
    /// Open the direct conversation with a user. Answered by [`Report::Done`].
    Open {
        /// Who.
        user: String,
    },
    /// How many others of the conversation have a live link? Answered by [`Report::Count`].
    Online,
    /// How many entries of the conversation are held? Answered by [`Report::Count`].
    Version,
    /// Send one message after the other, each when the one before is acked. Answered by [`Report::Samples`].
    Talk(Load),
    /// Send without waiting for acks. Answered by [`Report::Streamed`].
    Stream {
        /// What.
        load: Load,
        /// How many messages a second are meant to be sent; as many as it goes where there is no number.
        per_second: Option<f64>,
    },
    /// Write into the own log. Answered by [`Report::Done`].
    Fill(Load),
    /// Be in a room where there is much to be pulled. Answered by [`Report::Entered`].
    Enter {
        /// Its name.
        room: String,
    },
    /// End in order.
    Quit,
}

/// What is sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Load {
    /// How many messages.
    pub count: u64,
    /// How long each text is.
    pub payload: usize,
    /// How many others must have acked a message.
    pub others: usize,
    /// They must have synced it.
    pub durable: bool,
}

/// What a process of the bench tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Report {
    /// It runs, and listens there.
    Ready {
        /// HOST:PORT.
        listen: String,
    },
    /// The order is carried out.
    Done,
    /// The answer is a number.
    Count {
        /// Which.
        n: u64,
    },
    /// It goes on: so many are done.
    Progress {
        /// How many.
        done: u64,
    },
    /// How long each took, in nanoseconds.
    Samples {
        /// In the order in which they were sent.
        ns: Vec<u64>,
    },
    /// All were acked.
    Streamed {
        /// From the first send to the last ack.
        elapsed_ns: u64,
        /// For each, from the moment at which it was meant to be sent to its ack; empty where there was no such moment.
        ns: Vec<u64>,
    },
    /// The room was entered.
    Entered {
        /// Until it was on the screen.
        joined_ns: u64,
        /// Until all was pulled and in the log.
        synced_ns: u64,
        /// How many entries that were.
        pulled: u64,
    },
    /// It cannot be done.
    Failed {
        /// Why.
        why: String,
    },
}

/// Reads orders in a thread of its own, since reading blocks. The channel ends with the input.
///
/// # Errors
/// The thread cannot be started.
pub fn read_orders<O: DeserializeOwned + Send + 'static>() -> io::Result<mpsc::Receiver<Result<O, String>>> {
    let (sender, receiver) = mpsc::channel(ORDERS_MAX);
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let order = serde_json::from_str(&line).map_err(|error| format!("{line:?} is no order: {error}"));
            if sender.blocking_send(order).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("orders".into()).spawn(read)?;
    Ok(receiver)
}

/// Tells the bench something.
///
/// # Errors
/// It does not read any more.
pub fn report(report: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// The text of a message: its number, and as many letters as there is room for.
pub fn text(number: u64, payload: usize) -> String {
    let mut text = format!("{number} ");
    if text.len() > payload {
        text.clear();
    }
    text.push_str(&"x".repeat(payload - text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_it_is_meant_to_be() {
        for payload in [1, 2, 3, 8, 100] {
            assert_eq!(text(1_234, payload).len(), payload);
        }
        assert!(text(1_234, 10).starts_with("1234 xxxxx"));
    }
}
