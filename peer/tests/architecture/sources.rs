//! Source files, read as far as the rules need it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A source file without what is written in comments.
pub struct Source {
    /// From the root of the workspace, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// The code line by line, with line numbers from 1. What stands after `//` is left out, so a rule may be named in a comment.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line: &'_ str| line.find("//").unwrap_or(line.len());
        self.text
            .lines()
            .enumerate()
            .map(move |(number, line)| (number + 1, &line[..code(line)]))
    }

    /// The code up to the unit tests at its end, which may use what the code may not.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<_> = self.code().collect();
        let is_tests = |two: &[(usize, &str)]| two[0].1.trim() == "#[cfg(test)]" && two[1].1.trim() == "mod tests {";
        let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
        lines.into_iter().take(end)
    }

    /// `use crate::{a, b::{c, d}}` and `crate::a::b` as paths below the crate: `a`, `b::c`, `b::d`, `a::b`.
    pub fn imports(&self) -> BTreeSet<String> {
        let code: String = self.shipped().map(|(_, line)| line.trim().to_owned() + " ").collect();
        let mut found = BTreeSet::new();
        for (at, _) in code.match_indices("crate::") {
            if !code[..at].ends_with(is_of_path) {
                spread("", &code[at + "crate::".len()..], &mut found);
            }
        }
        found
    }
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// Adds the paths that a use tree stands for; returns what follows it.
fn spread<'s>(prefix: &str, tree: &'s str, found: &mut BTreeSet<String>) -> &'s str {
    let end = tree.find(|c| !is_of_path(c)).unwrap_or(tree.len());
    let path = format!("{prefix}{}", &tree[..end]);
    let Some(mut rest) = tree[end..].strip_prefix('{') else {
        found.insert(path);
        return &tree[end..];
    };
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let after = spread(&path, rest, found);
        // `self as x`, or text that is no use tree.
        rest = after.find([',', '}']).map_or("", |next| &after[next..]);
        if rest.is_empty() {
            return rest;
        }
    }
}

pub fn has_word(line: &str, word: &str) -> bool {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next()))
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust sources of the workspace below these folders.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources in {folders:?}");
    found
}

#[test]
fn use_trees_are_read_right() {
    let source = |text: &str| Source {
        path: "x.rs".into(),
        text: text.into(),
    };
    let read = |text: &str| source(text).imports().into_iter().collect::<Vec<_>>();
    assert_eq!(read("use crate::node::types::A;"), ["node::types::A"]);
    assert_eq!(
        read(
            "use crate::{\n    log::{self, Disk as _},\n    node::{Node, event::{A, B}},\n};\nlet x = crate::ui::run();"
        ),
        [
            "log::Disk",
            "log::self",
            "node::Node",
            "node::event::A",
            "node::event::B",
            "ui::run"
        ]
    );
    assert_eq!(read("pub(crate) fn f() {} // crate::net"), [""; 0]);
    assert_eq!(
        read("use crate::node;\n#[cfg(test)]\nmod tests {\n use crate::ui; }"),
        ["node"]
    );
}
