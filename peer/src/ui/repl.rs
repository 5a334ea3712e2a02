//! The prompt: the user interface for people on a terminal that can move its cursor.
//!
//! Three threads meet here. The editor's blocks in `readline`; the printer's blocks where the terminal is stopped; the task in
//! between decides. A typed line is handed over, decided upon and answered with the next prompt before the editor goes on.

use std::{
    io::{self, Write as _},
    sync::{Arc, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::Local;
use rustyline::ExternalPrinter;
use tokio::sync::mpsc;

use super::{
    Ending, Front, Options,
    colour::Paint,
    complete::Names,
    editor::{self, Shared},
    front::TextFront,
    input::{INPUT_QUEUE_MAX, Input},
    output::{OUTPUT_QUEUE_MAX, Output},
    pump,
    safe::visible_line,
    status, terminal, width,
};
use crate::{driver::request::Request, node::event::Event};

/// The most bytes that are printed at once.
const PRINT_BYTES_MAX: usize = 64 * 1024;

/// Makes the editor paint the prompt anew: a line that takes no room.
const REPAINT: &str = "\x1b[A\n";

/// How long the editor's thread may take to end when the last line was handed over.
const END_WAIT: Duration = Duration::from_millis(100);

/// The columns of a conversation's name in the prompt.
const TITLE_COLUMNS_MAX: usize = 30;

/// Runs the prompt until the peer says bye.
pub(super) async fn run(
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<Event>,
    options: Options,
) -> io::Result<Ending> {
    let mode = terminal::ModeGuard::new();
    let paint = Paint::detect(true);
    let shared = Arc::new(Shared::default());
    let (output, blocks) = mpsc::channel(OUTPUT_QUEUE_MAX);
    let mut editor = editor::new(Arc::clone(&shared), output.downgrade(), paint, options.history.as_ref())
        .map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    let printer = print_above(printer, blocks, Arc::clone(&shared))?;
    let (inputs_in, inputs) = mpsc::channel(INPUT_QUEUE_MAX);
    #[expect(
        clippy::disallowed_methods,
        reason = "one prompt follows one typed line, and no line is typed before it"
    )]
    let (prompts, prompts_out) = std_mpsc::channel();

    let editor = {
        let (shared, history) = (Arc::clone(&shared), options.history);
        let read = move || editor::read_lines(editor, &prompts_out, &inputs_in, &shared, history.as_ref());
        thread::Builder::new().name("prompt".into()).spawn(read)?
    };
    let mut text = TextFront::new(options.user, paint, Local);
    text.render.set_bell(options.bell);
    let front = ReplFront {
        text,
        shared: Arc::clone(&shared),
        prompts: Some(prompts),
        is_ready: false,
        names_changed: 0,
    };
    let ending = pump(requests, events, inputs, output, front, options.join).await;

    // The front is gone and with it the prompts, so the editor's thread ends as soon as it waits for one. While a line is
    // being typed it does not, and is left behind.
    let deadline = tokio::time::Instant::now() + END_WAIT;
    while !editor.is_finished() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if editor.is_finished() || shared.is_open() {
        let _ = printer.join();
    }
    drop(mode);
    Ok(ending)
}

/// The user interface for people, with a prompt.
struct ReplFront {
    text: TextFront<Local>,
    shared: Arc<Shared>,
    /// None once there will be no more.
    prompts: Option<std_mpsc::Sender<String>>,
    /// The first prompt is still to come: it names the conversation that the peer and the command line say is current.
    is_ready: bool,
    /// What the session's number was when the names were handed to the editor.
    names_changed: u64,
}

impl ReplFront {
    fn send_prompt(&mut self) {
        let session = &self.text.session;
        let title = session
            .current()
            .map(|current| visible_line(&current.label(session.me())));
        let title = width::cut(&title.unwrap_or_default(), TITLE_COLUMNS_MAX);
        self.refresh();
        if let Some(prompts) = &self.prompts {
            let _ = prompts.send(format!("{title}> "));
        }
    }

    /// Brings the status row and what Tab offers up to date; says whether the row changed.
    fn refresh(&mut self) -> bool {
        let session = &self.text.session;
        if self.names_changed != session.names_changed() {
            self.names_changed = session.names_changed();
            self.shared.set_names(Names {
                rooms: session.rooms().iter().map(|room| format!("#{room}")).collect(),
                users: session.users().iter().map(|user| format!("@{user}")).collect(),
                open: session.open().map(|one| one.title(session.me())).collect(),
            });
        }
        let columns = terminal::columns().saturating_sub(1);
        let row = status::row(session, self.text.registry_lost, columns, self.text.render.paint());
        self.shared.set_status(row)
    }
}

impl Front for ReplFront {
    fn input(&mut self, input: Input) -> Vec<Request> {
        self.text.render.set_width(Some(terminal::columns()));
        let is_typed = matches!(input, Input::Line(_));
        let requests = self.text.input(input);
        if requests.contains(&Request::Quit) {
            self.prompts = None;
        } else if is_typed {
            self.send_prompt();
        }
        requests
    }

    fn event(&mut self, event: Event) -> Vec<Request> {
        self.text.render.set_width(Some(terminal::columns()));
        self.is_ready |= matches!(event, Event::Ready(_));
        self.text.event(event)
    }

    fn take_output(&mut self) -> Option<Output> {
        if std::mem::take(&mut self.is_ready) {
            self.send_prompt();
        }
        let changed = self.refresh();
        let text = self.text.take_text();
        match (text.is_empty(), changed) {
            (false, _) => Some(Output::Text(text)),
            (true, true) => Some(Output::Prompt),
            (true, false) => None,
        }
    }
}

/// Prints above the prompt, in a thread of its own, since the editor takes one block at a time.
fn print_above(
    mut printer: impl ExternalPrinter + Send + 'static,
    mut blocks: mpsc::Receiver<Output>,
    shared: Arc<Shared>,
) -> io::Result<JoinHandle<()>> {
    let print = move || {
        while let Some(first) = blocks.blocking_recv() {
            let mut block = String::new();
            let mut next = Some(first);
            while let Some(output) = next {
                if let Output::Text(text) = output {
                    block += &text;
                }
                next = if block.len() < PRINT_BYTES_MAX {
                    blocks.try_recv().ok()
                } else {
                    None
                };
            }
            shared.wait_open();
            if block.is_empty() {
                block += REPAINT;
            }
            if printer.print(block.clone()).is_err() {
                // The editor has ended with the block still in its queue.
                let _ = io::stdout().write_all(block.as_bytes());
            }
        }
    };
    thread::Builder::new().name("screen".into()).spawn(print)
}
