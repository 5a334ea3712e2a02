//! What `/help` shows, from the table of commands.

use super::{
    colour::Paint,
    command::{COMMANDS, Spec},
    width,
};

/// One command with its examples, or all in a line each.
pub(super) fn help(spec: Option<&Spec>, paint: Paint) -> String {
    match spec {
        Some(spec) => one(spec, paint),
        None => all(paint),
    }
}

fn one(spec: &Spec, paint: Paint) -> String {
    let mut out = format!("{}  {}\n", paint.bold(&spec.usage()), spec.about);
    let widest = spec
        .examples
        .iter()
        .map(|(typed, _)| width::columns(typed))
        .max()
        .unwrap_or(0);
    for (typed, does) in spec.examples {
        out += &format!("  {}  {}\n", width::padded(typed, widest), paint.dim(does));
    }
    out
}

fn all(paint: Paint) -> String {
    let widest = COMMANDS.iter().map(|spec| spec.usage().len()).max().unwrap_or(0);
    let mut out = String::new();
    for spec in &COMMANDS {
        out += &format!(
            "  {}  {}\n",
            paint.bold(&width::padded(&spec.usage(), widest)),
            spec.about
        );
    }
    out += &format!(
        "  {}  {}\n",
        paint.bold(&width::padded("TEXT", widest)),
        "say it in the current conversation"
    );
    out += &format!(
        "  {}  {}\n",
        paint.bold(&width::padded("//TEXT", widest)),
        "say something that starts with /"
    );
    out += &paint.dim("  Try: /join lobby, then hello everybody. /help msg explains one command. Tab completes.");
    out.push('\n');
    out
}
