//! The thread that writes to stdout, since writing blocks.

use std::{
    io::{self, Write},
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;

/// How many blocks of lines wait for the terminal or the script. When it is reached, the user interface takes no more events.
pub const OUTPUT_QUEUE_MAX: usize = 256;

/// Something for the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Whole lines, each with its end.
    Text(String),
    /// Nothing new but what the prompt says.
    Prompt,
}

/// Writes lines to stdout. The thread ends when the sender is dropped, with an error if nobody reads any more.
pub(super) fn write_stdout() -> io::Result<(mpsc::Sender<Output>, JoinHandle<io::Result<()>>)> {
    let (sender, mut receiver) = mpsc::channel(OUTPUT_QUEUE_MAX);
    let write = move || write_all(&mut receiver, &mut io::stdout().lock());
    Ok((sender, thread::Builder::new().name("stdout".into()).spawn(write)?))
}

/// Flushes whenever nothing more waits: a burst becomes few writes, a single line waits for nothing.
fn write_all(receiver: &mut mpsc::Receiver<Output>, out: &mut impl Write) -> io::Result<()> {
    while let Some(first) = receiver.blocking_recv() {
        let mut next = Some(first);
        while let Some(output) = next {
            if let Output::Text(text) = output {
                out.write_all(text.as_bytes())?;
            }
            next = receiver.try_recv().ok();
        }
        out.flush()?;
    }
    Ok(())
}
