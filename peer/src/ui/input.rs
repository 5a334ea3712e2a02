//! What comes from the keyboard or from a script, and the thread that reads stdin.

use std::{
    io::{self, BufRead, Read as _},
    thread,
};

use tokio::sync::mpsc;

use super::command;
use crate::node::{
    door::Door,
    event::{Code, Notice},
    limits::TEXT_BYTES_MAX,
};

/// The longest line that is read from stdin, in bytes: a text over its limit by some bytes is still told how long it is. Of a
/// longer line nothing is kept.
pub const LINE_BYTES_MAX: usize = TEXT_BYTES_MAX + 4 * 1024;

/// How many lines wait between the thread and the user interface. When it is reached, stdin is not read.
pub const INPUT_QUEUE_MAX: usize = 64;

/// How much is kept of a line that cannot be read.
const START_BYTES: usize = 80;

/// Something that the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A line.
    Line(String),
    /// A line that cannot be read: how it begins, and why.
    Unreadable(String, Notice),
    /// A room was named on the command line.
    Join(Door),
    /// There will be no more lines.
    End,
}

/// Reads stdin in a thread of its own, since reading blocks. The thread ends with the process.
pub(super) fn read_stdin() -> io::Result<mpsc::Receiver<Input>> {
    let (sender, receiver) = mpsc::channel(INPUT_QUEUE_MAX);
    let read = move || {
        let mut stdin = io::stdin().lock();
        loop {
            let input = read_line(&mut stdin).unwrap_or(Input::End);
            let last = input == Input::End;
            if sender.blocking_send(input).is_err() || last {
                break;
            }
        }
    };
    thread::Builder::new().name("stdin".into()).spawn(read)?;
    Ok(receiver)
}

/// The next line, without its end. Uses no more memory than the limit, whatever comes.
fn read_line(reader: &mut impl BufRead) -> io::Result<Input> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(LINE_BYTES_MAX as u64 + 1)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(Input::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        line.pop_if(|last| *last == b'\r');
    } else if read > LINE_BYTES_MAX {
        let rest = reader.skip_until(b'\n')?;
        let start = start_of(&line);
        return Ok(Input::Unreadable(start, command::text_too_long(read + rest)));
    }
    Ok(match String::from_utf8(line) {
        Ok(line) => Input::Line(line),
        Err(error) => {
            let notice = Notice {
                code: Code::Usage,
                message: format!(
                    "the line is not UTF-8 from byte {} on",
                    error.utf8_error().valid_up_to() + 1
                ),
            };
            Input::Unreadable(start_of(error.as_bytes()), notice)
        }
    })
}

/// As much of an unreadable line as a command may take.
fn start_of(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(START_BYTES)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> Vec<Input> {
        let mut read = Vec::new();
        loop {
            read.push(read_line(&mut bytes).unwrap());
            if read.last() == Some(&Input::End) {
                return read;
            }
        }
    }

    fn line(text: &str) -> Input {
        Input::Line(text.into())
    }

    #[test]
    fn lines_are_read_up_to_the_end() {
        assert_eq!(
            all(b"a\n\nb\r\nc"),
            [line("a"), line(""), line("b"), line("c"), Input::End]
        );
        assert_eq!(all(b""), [Input::End]);
    }

    #[test]
    fn what_is_no_text_is_told_and_skipped() {
        let read = all(b"ok\n\xff\xfe\nafter\n");
        assert!(
            matches!(&read[1], Input::Unreadable(start, notice) if start == "\u{fffd}\u{fffd}" && notice.message == "the line is not UTF-8 from byte 1 on")
        );
        assert_eq!(read[2], line("after"));
    }

    #[test]
    fn a_line_beyond_the_limit_is_told_and_skipped() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let text = format!("{long}\n{long}y\n{long}{long}\nafter\n");
        let read = all(text.as_bytes());
        assert_eq!(read[0], line(&long));
        for bad in &read[1..3] {
            assert!(matches!(bad, Input::Unreadable(_, notice) if notice.code == Code::TextTooLong));
        }
        assert_eq!(read[3..], [line("after"), Input::End]);
    }
}
