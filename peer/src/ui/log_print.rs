//! `peerchat log`: the entries of a conversation, for people or for programs.

use std::io::{self, Write};

use chrono::{Local, TimeZone};
use serde::Serialize;

use super::{safe::visible, time};
use crate::node::{event::Line, types::UserName};

/// How entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-01-31 14:02:07  bob  hi`, in local time.
    Text,
    /// An object per line: the same bytes at every member.
    Json,
}

/// One entry. Exactly these fields in this order: members compare their logs by them.
#[derive(Debug, Serialize)]
struct Object<'l> {
    conversation: String,
    id: String,
    author: &'l str,
    device: String,
    seq: u64,
    lamport: u64,
    sent_at: String,
    text: Option<&'l str>,
}

/// Writes entries as `reader` sees them, in the order in which they come. Where nobody reads any more it ends quietly.
///
/// # Errors
/// Writing fails for another reason.
pub fn print(
    lines: impl IntoIterator<Item = Line>,
    reader: &UserName,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    print_in(lines, reader, format, &Local, out)
}

fn print_in<Z: TimeZone>(
    lines: impl IntoIterator<Item = Line>,
    reader: &UserName,
    format: Format,
    zone: &Z,
    out: &mut dyn Write,
) -> io::Result<()> {
    let write_all = || {
        for line in lines {
            let text = match format {
                Format::Text => text(&line, zone),
                Format::Json => json(&line, reader),
            };
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    };
    match write_all() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn text<Z: TimeZone>(line: &Line, zone: &Z) -> String {
    let time = time::local(line.sent_at, zone)
        .naive_local()
        .format("%Y-%m-%d %H:%M:%S");
    let head = format!("{time}  {}  ", visible(line.user.shown()));
    let text = line.text.as_deref().map_or("(unknown)".into(), visible);
    // An entry starts with a digit, and what belongs to it with a space.
    let indent = format!("\n{}", " ".repeat(super::width::columns(&head)));
    format!("{head}{}\n", text.replace('\n', &indent))
}

fn json(line: &Line, reader: &UserName) -> String {
    let object = Object {
        conversation: line.conversation.title(reader),
        id: line.id.to_string(),
        author: line.user.shown(),
        device: line.author.device.to_string(),
        seq: line.seq.0,
        lamport: line.lamport.0,
        sent_at: time::rfc3339(line.sent_at),
        text: line.text.as_deref(),
    };
    serde_json::to_string(&object).expect("strings and numbers can be written") + "\n"
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;
    use crate::ui::testing::{line, user};

    fn printed(lines: Vec<Line>, format: Format) -> String {
        let mut out = Vec::new();
        let zone = FixedOffset::east_opt(3600).unwrap();
        print_in(lines, &user("alice"), format, &zone, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_get_local_time_and_indented_lines() {
        let unknown = Line {
            text: None,
            ..line("bob", "")
        };
        let printed = printed(
            vec![line("bob", "hi\n2026-01-31 15:02:08  eve  \u{1b}[2J"), unknown],
            Format::Text,
        );
        assert_eq!(
            printed,
            "2026-01-31 15:02:07  bob  hi\n                          2026-01-31 15:02:08  eve  ␛[2J\n\
             2026-01-31 15:02:07  bob  (unknown)\n"
        );
    }

    #[test]
    fn programs_get_exactly_these_fields() {
        let unknown = Line {
            text: None,
            ..line("bob", "")
        };
        let fixed = format!(
            "{{\"conversation\":\"#lobby\",\"id\":\"{}\",\"author\":\"bob\",\"device\":\"{}\",\"seq\":4,\"lamport\":17,\
             \"sent_at\":\"2026-01-31T14:02:07.042Z\",\"text\":",
            "07".repeat(32),
            "0b".repeat(32)
        );
        assert_eq!(
            printed(vec![line("bob", "a\n\"b\""), unknown], Format::Json),
            format!("{fixed}\"a\\n\\\"b\\\"\"}}\n{fixed}null}}\n")
        );
    }

    #[test]
    fn a_broken_pipe_ends_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(print([line("bob", "hi")], &user("alice"), Format::Json, &mut Closed).is_ok());
    }
}
