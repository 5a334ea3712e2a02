//! The contract is written as `buf lint` with its STANDARD rules wants it, and says what each thing in it means. Those rules that this
//! contract could break are checked here, so that a run needs no further program.

use std::fs;

use crate::{assert_none, sources::root};

/// Where the files are, and so their package with `/` for `.`.
const FOLDER: &str = "proto/peerchat/v1";

/// A line of a file that declares something, with what it stands in.
struct Declared<'f> {
    place: String,
    words: Vec<&'f str>,
    /// The words of the declarations around it, from the outside.
    within: Vec<Vec<&'f str>>,
    has_comment: bool,
}

impl Declared<'_> {
    fn is(&self, kind: &str) -> bool {
        self.words[0] == kind
    }

    /// `string name = 1;` or `NAME = 1;`
    fn is_numbered(&self) -> bool {
        self.words.len() > 2 && self.words[self.words.len() - 2] == "="
    }

    fn parent(&self) -> &[&str] {
        self.within.last().map_or(&[], Vec::as_slice)
    }
}

/// All that a file declares, in order. A declaration stands in a line of its own, as `buf format` writes it.
fn declared<'f>(path: &str, text: &'f str) -> Vec<Declared<'f>> {
    let mut found = Vec::new();
    let mut within: Vec<Vec<&str>> = Vec::new();
    let mut has_comment = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") {
            has_comment = line.len() > "//".len();
            continue;
        }
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || "();{}".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        if !words.is_empty() {
            found.push(Declared {
                place: format!("{path}:{}: {line}", number + 1),
                words: words.clone(),
                within: within.clone(),
                has_comment,
            });
        }
        has_comment = false;
        if line.ends_with('{') {
            within.push(words);
        } else if line.starts_with('}') {
            within.pop();
        }
    }
    assert!(within.is_empty(), "{path}: every brace is closed");
    found
}

fn files() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join(FOLDER)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let read = paths.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    let mut files: Vec<_> = read.collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

fn is_lower_snake(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// `ByeReason` as `BYE_REASON_`
fn prefix(name: &str) -> String {
    let mut prefix = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(c.to_ascii_uppercase());
    }
    prefix + "_"
}

/// What is wrong with a declaration.
fn mistake(one: &Declared<'_>) -> Option<&'static str> {
    let words = one.words.as_slice();
    if ["syntax", "package", "import", "option", "reserved"].contains(&words[0]) {
        return None;
    }
    if !one.has_comment {
        return Some("has no comment");
    }
    let name = if one.is_numbered() {
        words[words.len() - 3]
    } else {
        words[1]
    };
    let good = match words[0] {
        "message" | "enum" => is_pascal(name),
        "service" => is_pascal(name) && name.ends_with("Service"),
        "oneof" => is_lower_snake(name),
        "rpc" => {
            let types = words[2..].iter().filter(|word| !["stream", "returns"].contains(word));
            is_pascal(name) && types.eq([&&*format!("{name}Request"), &&*format!("{name}Response")])
        }
        _ if one.parent().first() == Some(&"enum") => {
            let is_zero = words.last() == Some(&"0");
            name.starts_with(&prefix(one.parent()[1])) && name.ends_with("_UNSPECIFIED") == is_zero
        }
        _ => one.is_numbered() && is_lower_snake(name),
    };
    (!good).then_some("breaks the rule for names")
}

#[test]
fn all_of_the_contract_is_explained_and_named_by_the_rules() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (name, text) in files() {
        let found = declared(&name, &text);
        let package = found.iter().find(|one| one.is("package"));
        assert_eq!(package.map(|one| one.words[1]), Some("peerchat.v1"), "{name}");
        assert!(is_lower_snake(name.strip_suffix(".proto").unwrap()), "{name}");
        for one in &found {
            wrong.extend(mistake(one).map(|why| format!("{} {why}", one.place)));
        }
        checked += found.len();
    }
    assert_none(
        "every declaration has a comment and a name as buf lint wants it",
        &wrong,
    );
    assert!(checked > 300, "{checked}");
}

#[test]
fn a_contract_that_breaks_the_rules_is_found_out() {
    let mistakes = |text: &str| declared("x.proto", text).iter().filter_map(mistake).count();
    let good = "// A\nservice AService {\n  // B\n  rpc B(stream BRequest) returns (BResponse);\n}\n// C\nenum KindOf {\n  // D\n  \
                KIND_OF_UNSPECIFIED = 0;\n  // E\n  KIND_OF_E = 1;\n}\n// F\nmessage BRequest {\n  // G\n  repeated \
                string some_names = 1;\n  // H\n  oneof kind {\n    // I\n    bytes i = 2;\n  }\n}\n";
    assert_eq!(mistakes(good), 0);
    for (from, to) in [
        ("  // G\n", ""),
        ("  // G\n", "  //\n"),
        ("  // H\n", ""),
        ("// C\n", "// C\n\n"),
        ("AService", "A"),
        ("(BResponse)", "(Answer)"),
        ("KIND_OF_UNSPECIFIED", "KIND_OF_NONE"),
        ("KIND_OF_E", "E"),
        ("some_names", "someNames"),
        ("BRequest {", "b_request {"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(mistakes(&good.replacen(from, to, 1)) > 0, "{from:?} as {to:?}");
    }
}
