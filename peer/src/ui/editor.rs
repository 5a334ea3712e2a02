//! The line editor: what rustyline shows and offers while a line is typed, and the thread in which it runs.
//!
//! The prompt has two rows. The upper one is the status row, which may change while a line is typed: rustyline asks for it anew
//! whenever it paints the prompt, and only the width of the last row matters to it. When the line is entered, both rows
//! vanish: a text appears again as a message with its time once it is in the log, and of a command one dim line stays.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc},
};

use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext,
    EventHandler, Helper, KeyEvent, Movement, RepeatCount,
    completion::Completer,
    config::BellStyle,
    error::ReadlineError,
    highlight::{CmdKind, Highlighter},
    hint::{Hint, Hinter},
    history::FileHistory,
    validate::Validator,
};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{
    colour::Paint,
    complete::{self, Names, Offer, command_line},
    input::Input,
    output::Output,
    safe::visible_line,
    terminal, width,
};
use crate::node::private::Invitation;

/// How many typed lines are remembered for the next start.
const HISTORY_LINES_MAX: usize = 1_000;

/// Longer lines are not remembered.
const HISTORY_LINE_BYTES_MAX: usize = 4_096;

/// The rows of a prompt with an empty line.
const PROMPT_ROWS: usize = 2;

/// What the user interface and the editor's thread both know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The row above the prompt, as it is written.
    status: Mutex<String>,
    names: Mutex<Names>,
    /// Whether the editor can show lines above the prompt. While a line is handed over it cannot, and what is printed then
    /// would come out of order.
    open: Mutex<bool>,
    opened: Condvar,
}

impl Shared {
    /// Sets the row above the prompt; says whether it changed.
    pub(super) fn set_status(&self, status: String) -> bool {
        let mut shown = locked(&self.status);
        let changed = *shown != status;
        *shown = status;
        changed
    }

    /// Sets what Tab offers.
    pub(super) fn set_names(&self, names: Names) {
        *locked(&self.names) = names;
    }

    /// Waits until lines can be shown.
    pub(super) fn wait_open(&self) {
        let mut open = locked(&self.open);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether lines can be shown.
    pub(super) fn is_open(&self) -> bool {
        *locked(&self.open)
    }

    fn set_open(&self, open: bool) {
        *locked(&self.open) = open;
        self.opened.notify_all();
    }
}

/// Nothing is left half done under these locks, so a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An editor of lines.
pub(super) type LineEditor = Editor<Assistant, FileHistory>;

/// Prepares the editor.
pub(super) fn new(
    shared: Arc<Shared>,
    screen: mpsc::WeakSender<Output>,
    paint: Paint,
    history: Option<&PathBuf>,
) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .bell_style(BellStyle::None)
        // The status row comes through the highlighter, also where no colours are wanted.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Assistant {
        shared: Arc::clone(&shared),
        screen,
        paint,
        stage: Cell::new(Stage::Typing),
    }));
    editor.bind_sequence(
        KeyEvent::ctrl('C'),
        EventHandler::Conditional(Box::new(Interrupt(shared))),
    );
    if let Some(path) = history {
        // A file that is not there yet, or is damaged, is no reason not to start.
        let _ = editor.load_history(path);
    }
    Ok(editor)
}

/// Reads lines until there are no more prompts: each prompt is answered by one input.
pub(super) fn read_lines(
    mut editor: LineEditor,
    prompts: &std_mpsc::Receiver<String>,
    inputs: &mpsc::Sender<Input>,
    shared: &Shared,
    history: Option<&PathBuf>,
) {
    while let Ok(prompt) = prompts.recv() {
        let mut input = read_line(&mut editor, &format!("\n{prompt}"));
        if let Input::Line(line) = &input
            && let Some(given) = line.trim_end().strip_prefix("/passwd")
        {
            // Never among the lines that are remembered.
            if given.is_empty() {
                input = Input::Line(new_password(&mut editor).unwrap_or_default());
            }
        } else if let Input::Line(line) = &input
            && !line.trim().is_empty()
            && line.len() <= HISTORY_LINE_BYTES_MAX
            && !has_secret(line)
        {
            let _ = editor.add_history_entry(line);
            // At once: a peer may be killed. The file is readable by its owner only.
            let _ = history.map(|path| editor.append_history(path));
        }
        if inputs.blocking_send(input).is_err() {
            break;
        }
    }
    drop(editor);
    shared.set_open(true);
}

/// Whether a line is a command with an invitation, of which no copy is kept here.
fn has_secret(line: &str) -> bool {
    command_line(line).is_some() && Invitation::without_secret(line).len() < line.len()
}

fn read_line(editor: &mut LineEditor, prompt: &str) -> Input {
    let mut started = String::new();
    let mut interrupted = false;
    loop {
        set_stage(editor, Stage::Typing);
        match editor.readline_with_initial(prompt, (&started, "")) {
            Ok(line) => {
                let line = line.trim_end_matches('\n');
                if !line.contains('\n') || confirm(editor, line) {
                    return Input::Line(line.to_owned());
                }
                line.clone_into(&mut started);
                interrupted = false;
            }
            Err(ReadlineError::Interrupted) if !interrupted => {
                interrupted = true;
                started.clear();
                let mut out = io::stdout().lock();
                let _ = write!(out, "\x1b[{PROMPT_ROWS}A\r\x1b[J· Ctrl-C again leaves Peerchat\n");
                let _ = out.flush();
            }
            Err(_) => return Input::End,
        }
    }
}

/// Asks before several lines go out as one message: they may have been pasted by mistake.
fn confirm(editor: &mut LineEditor, text: &str) -> bool {
    let count = text.split('\n').count();
    set_stage(editor, Stage::Asking);
    let answer = editor.readline(&format!("Send {count} lines as one message? [Y/n] "));
    answer.is_ok_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

/// Asks for a new password twice, without showing it. The command that sets it; none where the two are not the same, or it is thought
/// better of.
fn new_password(editor: &mut LineEditor) -> Option<String> {
    let mut ask = |question| {
        set_stage(editor, Stage::Secret);
        editor.readline(question).ok().map(Zeroizing::new)
    };
    let first = ask("New password, at least 8 characters: ");
    let second = first.as_ref().and_then(|_| ask("The same again: "));
    let why = match (first, second) {
        (Some(first), Some(second)) if *first == *second => return Some(format!("/passwd {}", *first)),
        (Some(_), Some(_)) => "! these were not the same; nothing is changed",
        _ => "· nothing is changed",
    };
    let _ = writeln!(io::stdout().lock(), "{why}");
    None
}

fn set_stage(editor: &LineEditor, stage: Stage) {
    if let Some(assistant) = editor.helper() {
        assistant.stage.set(stage);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Typing,
    Asking,
    /// What is typed is nobody else's business.
    Secret,
    /// The line was entered: it is painted for the last time.
    Entered,
}

/// Completes, hints and paints while a line is typed.
#[derive(Debug)]
pub(super) struct Assistant {
    shared: Arc<Shared>,
    /// Weak: a line that is still typed at the end must not keep the printer waiting.
    screen: mpsc::WeakSender<Output>,
    paint: Paint,
    stage: Cell<Stage>,
}

impl Helper for Assistant {}

impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    /// Choices are listed above the prompt by the printer: rustyline's own list overwrites a prompt of two rows, and holds
    /// back whatever comes in until the next key.
    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let offer = complete::offer(&line[..pos], &locked(&self.shared.names));
        Ok(match offer {
            Offer::Nothing => (pos, Vec::new()),
            Offer::Replace(start, text) => (start, vec![text]),
            Offer::Choices(choices) => {
                let line = self.paint.dim(&visible_line(&choices.join("  "))) + "\n";
                // Where the screen is too far behind, the list is not worth waiting for.
                let _ = self.screen.upgrade().map(|screen| screen.try_send(Output::Text(line)));
                (pos, Vec::new())
            }
        })
    }
}

/// What can follow; the first bytes of it may be taken over.
#[derive(Debug)]
pub(super) struct Following(String, usize);

impl Hint for Following {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        Some(&self.0[..self.1]).filter(|rest| !rest.is_empty())
    }
}

impl Hinter for Assistant {
    type Hint = Following;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Following> {
        let is_typing = self.stage.get() == Stage::Typing && pos == line.len();
        let (hint, take) = complete::hint(line).filter(|_| is_typing)?;
        Some(Following(hint, take))
    }
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        match (self.stage.get(), prompt.strip_prefix('\n')) {
            (Stage::Entered, _) => Cow::Borrowed(""),
            (Stage::Typing, Some(prompt)) if default => {
                let status = locked(&self.shared.status).clone();
                // It is painted, so lines can be shown above it from now on.
                self.shared.set_open(true);
                Cow::Owned(format!("{status}\n{}", self.paint.bold(prompt)))
            }
            _ => Cow::Borrowed(prompt),
        }
    }

    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.stage.get() == Stage::Secret {
            return Cow::Owned("•".repeat(line.chars().count()));
        }
        let command = complete::command_line(line);
        match (self.stage.get(), command) {
            (Stage::Entered, Some(_)) => {
                let room = terminal::columns().saturating_sub(3);
                // The line stays on the screen, where others may see it.
                let line = width::cut(&visible_line(Invitation::without_secret(line)), room);
                Cow::Owned(self.paint.dim(&format!("> {line}")))
            }
            // All rows of the prompt are cleared by now, the cursor is in the first, and a newline follows: one row up makes
            // the next thing that is printed take their place.
            (Stage::Entered, None) => Cow::Borrowed("\x1b[A"),
            (_, Some(command)) => {
                let (word, rest) = line.split_at(1 + command.len());
                Cow::Owned(format!("{}{rest}", self.paint.bold(word)))
            }
            (_, None) => Cow::Borrowed(line),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.paint.dim(hint))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        if kind == CmdKind::ForcedRefresh && self.stage.get() != Stage::Secret {
            self.shared.set_open(false);
            self.stage.set(Stage::Entered);
        }
        // Always: it makes rustyline paint once more when the line is entered.
        true
    }
}

/// Ctrl-C clears what was typed; on an empty line it wants to leave.
struct Interrupt(Arc<Shared>);

impl ConditionalEventHandler for Interrupt {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        if context.line().is_empty() {
            self.0.set_open(false);
            return Some(Cmd::Interrupt);
        }
        Some(Cmd::Kill(Movement::WholeBuffer))
    }
}
