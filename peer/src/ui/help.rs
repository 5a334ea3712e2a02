//! What `/help` shows, from the table of commands, and how rows of what can be typed are laid out.

use super::{
    colour::Paint,
    command::{COMMANDS, Spec},
    width,
};

/// How many columns there must be for what is explained beside what is typed; with fewer it stands below.
const BESIDE_COLUMNS_MIN: usize = 20;

/// How far it is indented there.
const BELOW_INDENT: usize = 6;

/// One command with its examples, or all in a row each, in lines of at most `columns`; of any length where there is no limit.
pub(super) fn help(spec: Option<&Spec>, paint: Paint, columns: Option<usize>) -> String {
    match spec {
        Some(spec) => one(spec, paint, columns),
        None => all(paint, columns),
    }
}

fn one(spec: &Spec, paint: Paint, columns: Option<usize>) -> String {
    let usage = [(spec.usage(), spec.about)];
    let examples: Vec<_> = spec
        .examples
        .iter()
        .map(|(typed, does)| ((*typed).to_owned(), *does))
        .collect();
    let (bold, dim) = (|text: &str| paint.bold(text), |text: &str| paint.dim(text));
    rows(0, &usage, columns, bold, str::to_owned) + &rows(2, &examples, columns, str::to_owned, dim)
}

fn all(paint: Paint, columns: Option<usize>) -> String {
    let commands = COMMANDS.iter().map(|spec| (spec.usage(), spec.about));
    let texts = [
        ("TEXT", "say it in the current conversation"),
        ("//TEXT", "say something that starts with /"),
    ];
    let all: Vec<_> = commands
        .chain(texts.map(|(typed, does)| (typed.to_owned(), does)))
        .collect();
    let mut out = rows(2, &all, columns, |text| paint.bold(text), str::to_owned);
    let last = "Try: /join lobby, then hello everybody. /help msg explains one command. Tab completes.";
    let room = columns.map(|columns| columns.saturating_sub(3));
    for part in width::lines(last, room) {
        out += &format!("  {}\n", paint.dim(&last[part]));
    }
    out
}

/// A row for each pair of what is typed and what that does, `indent` columns from the left, with the second below one another. What
/// does not fit beside the first hangs there, and where there is too little room for that, below it.
pub(super) fn rows(
    indent: usize,
    pairs: &[(String, &str)],
    columns: Option<usize>,
    typed_as: impl Fn(&str) -> String,
    does_as: impl Fn(&str) -> String,
) -> String {
    let widest = pairs.iter().map(|(typed, _)| width::columns(typed)).max().unwrap_or(0);
    let beside = indent + widest + 2;
    let is_narrow = columns.is_some_and(|columns| columns < beside + BESIDE_COLUMNS_MIN);
    let hanging = if is_narrow { BELOW_INDENT } else { beside };
    let room = columns.map(|columns| columns.saturating_sub(hanging + 1));
    let mut out = String::new();
    for (typed, does) in pairs {
        out += &" ".repeat(indent);
        out += &typed_as(typed);
        let mut at = indent + width::columns(typed);
        if is_narrow {
            out.push('\n');
            at = 0;
        }
        for part in width::lines(does, room) {
            out += &" ".repeat(hanging.saturating_sub(at));
            out += &does_as(&does[part]);
            out.push('\n');
            at = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: Option<&str>, columns: Option<usize>) -> String {
        let spec = name.map(|name| COMMANDS.iter().find(|spec| spec.name == name).unwrap());
        help(spec, Paint::new(false), columns)
    }

    #[test]
    fn a_row_hangs_where_it_is_explained() {
        assert_eq!(
            plain(Some("msg"), Some(50)),
            "/msg USER [TEXT]  talk to one user, directly\n\
             \x20 /msg bob         what you type from now on goes\n\
             \x20                  to bob\n\
             \x20 /msg bob hello!  the same, and says hello\n"
        );
        assert_eq!(
            plain(Some("msg"), Some(30)),
            "/msg USER [TEXT]\n\
             \x20     talk to one user,\n\
             \x20     directly\n\
             \x20 /msg bob\n\
             \x20     what you type from now\n\
             \x20     on goes to bob\n\
             \x20 /msg bob hello!\n\
             \x20     the same, and says\n\
             \x20     hello\n"
        );
    }

    #[test]
    fn no_word_is_broken_at_the_edge_of_a_terminal() {
        let whole = plain(None, None);
        assert_eq!(whole.lines().count(), COMMANDS.len() + 3);
        for columns in 30..140 {
            let shown = plain(None, Some(columns));
            assert!(shown.lines().all(|line| width::columns(line) < columns), "{columns}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&shown), words(&whole), "{columns}");
        }
    }
}
