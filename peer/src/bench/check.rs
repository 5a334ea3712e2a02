//! Whether what was measured is right: all logs hold everything, and hold the same.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{BenchError, site::Where};
use crate::{
    config::{ConversationName, LogConfig},
    inspect,
    node::types::{RoomName, UserName},
    ui::log_print::Format,
};

/// The logs are complete and equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// How many entries each holds.
    pub entries: u64,
}

/// Reads the logs of all members as `peerchat log --json` prints them, and compares them.
///
/// # Errors
/// One cannot be read, lacks something, or differs from another.
pub fn logs(data: &Path, names: &[String], at: Where, entries: u64) -> Result<Checked, BenchError> {
    let mut first: Option<(&String, blake3::Hash)> = None;
    for (number, name) in names.iter().enumerate() {
        let conversation = match at {
            Where::Room => ConversationName::Room(RoomName::new(super::site::ROOM).map_err(wrong)?),
            Where::Direct => ConversationName::User(user(&names[1 - number])?),
        };
        let config = LogConfig {
            user: user(name)?,
            data: data.to_owned(),
            authority: None,
        };
        let mut digest = Digest::default();
        inspect::print(&config, conversation, Format::Json, &mut digest).map_err(wrong)?;
        if digest.lines != entries {
            return Err(BenchError::Wrong(format!(
                "the log of {name} has {} entries where there are {entries}",
                digest.lines
            )));
        }
        let hash = digest.hasher.finalize();
        match &first {
            None => first = Some((name, hash)),
            Some((other, same)) if *same != hash => {
                return Err(BenchError::Wrong(format!("the logs of {other} and {name} differ")));
            }
            Some(_) => {}
        }
    }
    Ok(Checked { entries })
}

fn user(name: &str) -> Result<UserName, BenchError> {
    UserName::new(name).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(error.to_string())
}

/// Counts and hashes lines without their first field: in a direct conversation that names the other user, so it alone differs.
#[derive(Default)]
struct Digest {
    hasher: blake3::Hasher,
    lines: u64,
    /// The line so far, until its first field has ended.
    begin: Vec<u8>,
    in_rest: bool,
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.in_rest {
                self.hasher.update(part);
            } else {
                self.begin.extend_from_slice(part);
                if let Some(end) = self.begin.windows(2).position(|two| two == b"\",") {
                    self.hasher.update(&self.begin[end..]);
                    self.begin.clear();
                    self.in_rest = true;
                }
            }
            if part.ends_with(b"\n") {
                self.lines += 1;
                self.in_rest = false;
                self.begin.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(parts: &[&str]) -> (u64, blake3::Hash) {
        let mut digest = Digest::default();
        for part in parts {
            digest.write_all(part.as_bytes()).unwrap();
        }
        (digest.lines, digest.hasher.finalize())
    }

    #[test]
    fn lines_are_compared_but_for_the_name_of_the_other_user() {
        let one = digest(&["{\"conversation\":\"@a\",\"id\":\"1\"}\n{\"conversation\":\"@a\",\"id\":\"2\"}\n"]);
        let same = digest(&[
            "{\"conver",
            "sation\":\"@bob\",\"id\":\"1\"}\n{\"conversation\":\"@bob\",\"i",
            "d\":\"2\"}\n",
        ]);
        let other = digest(&["{\"conversation\":\"@a\",\"id\":\"1\"}\n{\"conversation\":\"@a\",\"id\":\"3\"}\n"]);
        assert_eq!(one, same);
        assert_eq!(one.0, 2);
        assert_ne!(one.1, other.1);
    }
}
