//! What the Tab key offers. Pure.

use super::command::{COMMANDS, Completes, Spec};

/// The most names that one Tab offers.
const OFFERED_MAX: usize = 200;

/// The names that can be offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// With `#`.
    pub(super) rooms: Vec<String>,
    /// With `@`.
    pub(super) users: Vec<String>,
    /// `#room` or `@user`.
    pub(super) open: Vec<String>,
}

/// What one Tab does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Nothing fits.
    Nothing,
    /// The text from a place on becomes this.
    Replace(usize, String),
    /// Nothing can be added for sure; these all fit.
    Choices(Vec<String>),
}

/// What Tab does with what stands before the cursor.
pub(super) fn offer(before_cursor: &str, names: &Names) -> Offer {
    let (start, mut fitting) = complete(before_cursor, names);
    if fitting.len() < 2 {
        return match fitting.pop() {
            Some(only) => Offer::Replace(start, only + " "),
            None => Offer::Nothing,
        };
    }
    let shared = fitting
        .iter()
        .skip(1)
        .fold(fitting[0].as_str(), |shared, name| common_start(shared, name));
    if shared.chars().count() > before_cursor[start..].chars().count() {
        return Offer::Replace(start, shared.to_owned());
    }
    Offer::Choices(fitting)
}

fn common_start<'n>(one: &'n str, other: &str) -> &'n str {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    &one[..same.map(|(c, _)| c.len_utf8()).sum()]
}

/// Where the word before the cursor starts, and what it can become.
fn complete(before_cursor: &str, names: &Names) -> (usize, Vec<String>) {
    let start = before_cursor.rfind(char::is_whitespace).map_or(0, |space| {
        space + before_cursor[space..].chars().next().map_or(0, char::len_utf8)
    });
    let word = &before_cursor[start..];
    let Some(command) = command_line(before_cursor) else {
        let offered = match word.chars().next() {
            Some('#') => starting(&names.rooms, word),
            Some('@') => starting(&names.users, word),
            _ => Vec::new(),
        };
        return (start, offered);
    };
    if start == 0 {
        let commands: Vec<_> = COMMANDS.iter().map(|spec| format!("/{}", spec.name)).collect();
        return (0, starting(&commands, word));
    }
    // A text that follows names is completed as a text.
    let is_first_argument = before_cursor[..start].split_whitespace().count() == 1;
    let completes = find(command)
        .filter(|_| is_first_argument)
        .map_or(Completes::No, |spec| spec.completes);
    let offered = match (completes, word.chars().next()) {
        (Completes::Room, _) => starting(&names.rooms, word),
        (Completes::User, _) => starting(&names.users, word),
        (Completes::Conversation, _) => starting(&names.open, word),
        (Completes::Command, _) => {
            let commands: Vec<_> = COMMANDS.iter().map(|spec| spec.name.to_owned()).collect();
            starting(&commands, word)
        }
        (Completes::No, Some('#')) => starting(&names.rooms, word),
        (Completes::No, Some('@')) => starting(&names.users, word),
        (Completes::No, _) => Vec::new(),
    };
    (start, offered)
}

/// What can follow what was typed so far, to be shown behind the cursor, and how much of it a key may take over.
pub(super) fn hint(line: &str) -> Option<(String, usize)> {
    let typed = command_line(line)?;
    if let Some(spec) = find(typed) {
        let nothing_follows = line[1 + typed.len()..].trim().is_empty();
        let space = if line.ends_with(' ') { "" } else { " " };
        return (nothing_follows && !spec.arguments.is_empty()).then(|| (format!("{space}{}", spec.arguments), 0));
    }
    if typed.is_empty() || line.contains(char::is_whitespace) {
        return None;
    }
    let mut matching = COMMANDS.iter().filter(|spec| spec.name.starts_with(typed));
    let (spec, None) = (matching.next()?, matching.next()) else {
        return None;
    };
    let rest = &spec.name[typed.len()..];
    Some((format!("{rest} {}", spec.arguments).trim_end().to_owned(), rest.len()))
}

/// The name of the command that a line starts with, as far as it was typed.
pub(super) fn command_line(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
    Some(rest.split(char::is_whitespace).next().unwrap_or(rest))
}

fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| spec.name == name.to_lowercase())
}

/// Those that start with `word`, whatever its case, with or without the `#` or `@` that they have.
fn starting(names: &[String], word: &str) -> Vec<String> {
    let word = word.to_lowercase();
    let fits = |name: &&String| {
        let lower = name.to_lowercase();
        lower.starts_with(&word) || lower.trim_start_matches(['#', '@']).starts_with(&word)
    };
    names.iter().filter(fits).take(OFFERED_MAX).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_offered_where_they_fit() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names = Names {
            rooms: list(&["#dev", "#lobby", "#大厅"]),
            users: list(&["@Bob", "@carol"]),
            open: list(&["#dev", "@carol"]),
        };
        let cases: [(&str, usize, &[&str]); 17] = [
            ("/jo", 0, &["/join"]),
            ("/h", 0, &["/history", "/help"]),
            ("/join ", 6, &["#dev", "#lobby", "#大厅"]),
            ("/join lo", 6, &["#lobby"]),
            ("/join #大", 6, &["#大厅"]),
            ("/msg b", 5, &["@Bob"]),
            ("/msg @C", 5, &["@carol"]),
            ("/msg bob ask ca", 13, &[]),
            ("/msg bob ask @ca", 13, &["@carol"]),
            ("/ver", 0, &["/version", "/verify"]),
            ("/trust b", 7, &["@Bob"]),
            ("/verify @c", 8, &["@carol"]),
            ("/switch ", 8, &["#dev", "@carol"]),
            ("/help hi", 6, &["history"]),
            ("see #l", 4, &["#lobby"]),
            ("see l", 4, &[]),
            ("//jo", 0, &[]),
        ];
        for (typed, start, offered) in cases {
            assert_eq!(complete(typed, &names), (start, list(offered)), "{typed:?}");
        }
    }

    #[test]
    fn a_tab_adds_what_is_sure_and_lists_what_is_not() {
        let names = Names {
            rooms: ["#lobby", "#lobster"].map(String::from).into(),
            ..Names::default()
        };
        assert_eq!(offer("/join l", &names), Offer::Replace(6, "#lob".into()));
        assert_eq!(offer("/join #lob", &names), Offer::Choices(names.rooms.clone()));
        assert_eq!(offer("/join #lobb", &names), Offer::Replace(6, "#lobby ".into()));
        assert_eq!(offer("/join x", &names), Offer::Nothing);
    }

    #[test]
    fn hints_tell_what_follows() {
        assert_eq!(hint("/ms"), Some(("g USER [TEXT]".into(), 1)));
        assert_eq!(hint("/msg"), Some((" USER [TEXT]".into(), 0)));
        assert_eq!(hint("/msg "), Some(("USER [TEXT]".into(), 0)));
        assert_eq!(hint("/msg b"), None);
        assert_eq!(hint("/h"), None, "help or history");
        assert_eq!(hint("/who"), None);
        assert_eq!(hint("hello"), None);
        assert_eq!(hint("/"), None);
    }
}
