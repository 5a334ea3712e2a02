//! Who may know whom. Reads the sources and fails on a new edge, and on what a source file or the program must not hold.
//!
//! A rule that the compiler cannot state is stated here. Where a test fails, either the code is in the wrong place or the rule is:
//! then change the rule, its reason, and ARCHITECTURE.md in the same commit.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod contract;
mod dependencies;
mod sources;

use std::fs;

use sources::{Source, has_word, root, sources};

/// The most lines of a source file: above it there are two subjects in it.
const LINES_MAX: usize = 400;

/// A part of the crate, the other parts that it may name, and the words that must not stand in its code.
struct Part {
    name: &'static str,
    knows: &'static [&'static str],
    never: &'static [&'static str],
    because: &'static str,
}

/// The parts from the bottom to the top. Only whole words count, so `log` is not found in `logged`.
const PARTS: [Part; 10] = [
    Part {
        name: "node",
        knows: &[],
        never: &[
            "tokio",
            "tonic",
            "prost",
            "tracing",
            "ring",
            "rustix",
            "std::fs",
            "std::io",
            "std::net",
            "std::thread",
            "std::env",
            "SystemTime",
            "Instant",
            "async",
            "await",
        ],
        because: "the node is pure: the simulation replays it, and time, chance, disk and network come in as arguments",
    },
    Part {
        name: "log",
        knows: &["node"],
        never: &["tokio", "tonic", "prost", "tracing", "std::net", "async", "await"],
        because: "the log is files and nothing else, so that a disk in memory can stand in for them",
    },
    Part {
        name: "seal",
        knows: &["node"],
        never: &[
            "tokio", "tonic", "prost", "tracing", "std::fs", "std::net", "async", "await",
        ],
        because: "signatures are made and judged by whoever has a thread for it; what follows from them is decided in the node",
    },
    Part {
        name: "state",
        knows: &["log", "node"],
        never: &["tokio", "tonic", "prost", "std::fs"],
        because: "what is remembered is written through the log's disk, so that the simulation crashes it as well",
    },
    Part {
        name: "credentials",
        knows: &["folder", "log::IoError", "node"],
        never: &["tonic", "prost", "std::net"],
        because: "who a device is and whom it believes is one thing; how it talks with them is the wire's",
    },
    Part {
        name: "known_registries",
        knows: &[],
        never: &["tokio", "tonic", "prost", "std::net"],
        because: "it is a file and nothing else",
    },
    Part {
        name: "driver",
        knows: &["log", "node", "seal", "state"],
        never: &["tonic", "prost", "std::fs", "std::net"],
        because: "the driver moves things between the node, the log and channels; it knows no wire and no screen",
    },
    Part {
        name: "net",
        knows: &["credentials", "driver", "known_registries", "node", "seal"],
        never: &["std::fs", "rustyline"],
        because: "the wire brings and takes; what is kept and what is shown is decided elsewhere",
    },
    Part {
        name: "ui",
        knows: &["driver::request", "node"],
        never: &["tonic", "prost", "std::net"],
        because: "the screen asks by requests and learns by events, so that a page in a browser can do the same",
    },
    Part {
        name: "bench",
        knows: &[
            "chat",
            "cli",
            "config",
            "driver::request",
            "inspect",
            "net::Lookups",
            "net::log_in_once",
            "node",
            "ui::Ending",
            "ui::log_print",
        ],
        never: &["rustyline"],
        because: "the bench drives the product from where a user stands, and reads what he could read",
    },
];

/// The only places that know generated types.
const WIRE: [&str; 3] = ["peer/src/net/", "registry/src/service", "registry/src/cluster/wire"];

/// What stands for something unfinished.
const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "todo!", "unimplemented!"];

fn everything() -> Vec<Source> {
    sources(&["build.rs", "proto", "identity", "peer", "registry"])
}

/// The shipped sources of a part: no unit tests in files of their own.
fn part_sources(name: &str) -> Vec<Source> {
    let (file, folder) = (format!("peer/src/{name}.rs"), format!("peer/src/{name}"));
    let there: Vec<&str> = [file.as_str(), &folder]
        .into_iter()
        .filter(|path| root().join(path).exists())
        .collect();
    let mut found = sources(&there);
    found.retain(|source| {
        let name = source.path.rsplit('/').next().unwrap();
        let is_test = name == "tests.rs" || name == "testing.rs" || name == "figures.rs" || name.ends_with("_tests.rs");
        !is_test
    });
    found
}

/// Fails with all that was found, so that one run tells everything.
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n  {}\n", found.join("\n  "));
}

#[test]
fn each_part_knows_only_those_below_it() {
    for Part {
        name, knows, because, ..
    } in PARTS
    {
        let mut wrong = Vec::new();
        for source in part_sources(name) {
            for import in source.imports() {
                let allowed = |known: &str| import == known || import.starts_with(&format!("{known}::"));
                if !allowed(name) && !knows.iter().any(|known| allowed(known)) {
                    wrong.push(format!("{} names {import}", source.path));
                }
            }
        }
        assert_none(&format!("{name} may know only {knows:?}: {because}"), &wrong);
    }
}

#[test]
fn a_part_is_left_by_crate_paths_only() {
    let mut wrong = Vec::new();
    for Part { name, .. } in PARTS {
        let top = [format!("peer/src/{name}.rs"), format!("peer/src/{name}/mod.rs")];
        for source in part_sources(name) {
            let way_out = if top.contains(&source.path) {
                "super::"
            } else {
                "super::super::"
            };
            let lines = source.shipped().filter(|(_, line)| line.contains(way_out));
            wrong.extend(lines.map(|(number, _)| format!("{}:{number}", source.path)));
        }
    }
    assert_none(
        "where `super` leads out of a part, the rules above would not see the edge",
        &wrong,
    );
}

#[test]
fn no_part_uses_what_it_must_not_know() {
    for Part {
        name, never, because, ..
    } in PARTS
    {
        let mut wrong = Vec::new();
        for source in part_sources(name) {
            for (number, line) in source.shipped() {
                for word in never.iter().filter(|word| has_word(line, word)) {
                    wrong.push(format!("{}:{number} has {word}", source.path));
                }
            }
        }
        assert_none(&format!("not in {name}: {because}"), &wrong);
    }
}

#[test]
fn generated_types_stay_at_the_edge() {
    let mut wrong = Vec::new();
    for source in sources(&["peer/src", "registry/src"]) {
        if !WIRE.iter().any(|edge| source.path.starts_with(edge)) {
            let lines = source
                .code()
                .filter(|(_, line)| line.contains("peerchat_proto::v1") || has_word(line, "v1"));
            wrong.extend(lines.map(|(number, _)| format!("{}:{number}", source.path)));
        }
    }
    assert_none(
        "what came over the wire is checked where it comes in, and has another type from there on",
        &wrong,
    );
}

#[test]
fn nothing_below_the_screen_prints() {
    let lints = manifest("Cargo.toml")["workspace"]["lints"].clone();
    for lint in ["print_stdout", "print_stderr", "dbg_macro"] {
        assert_eq!(lints["clippy"][lint].as_str(), Some("warn"), "CI makes an error of it");
    }
    let mut wrong = Vec::new();
    for part in ["node", "log", "state", "driver", "net"] {
        for source in part_sources(part) {
            let prints = |line: &str| ["stdout", "stderr"].iter().any(|word| has_word(line, word));
            let lines = source.shipped().filter(|(_, line)| prints(line));
            wrong.extend(lines.map(|(number, _)| format!("{}:{number}", source.path)));
        }
    }
    assert_none("stdout and stderr belong to the screen and to main", &wrong);
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let root = manifest("Cargo.toml");
    assert_eq!(
        root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    for path in ["Cargo.toml", "peer/Cargo.toml", "registry/Cargo.toml"] {
        let inherits = manifest(path)["lints"]["workspace"].as_bool();
        assert_eq!(inherits, Some(true), "{path} takes over the workspace's lints");
    }
}

fn manifest(path: &str) -> toml::Table {
    fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

#[test]
fn every_file_says_what_it_is_about() {
    let silent = everything()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"));
    let silent: Vec<_> = silent.map(|source| source.path).collect();
    assert_none("a file starts with //! and what it is about", &silent);
}

#[test]
fn no_file_is_about_too_much() {
    let mut long = Vec::new();
    for source in everything() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            long.push(format!("{} has {lines} lines", source.path));
        }
    }
    assert_none(&format!("above {LINES_MAX} lines a file is split by subject"), &long);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for source in everything()
        .iter()
        .filter(|source| source.path != "peer/tests/architecture/main.rs")
    {
        for (number, line) in source.text.lines().enumerate() {
            if UNFINISHED.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    assert_none("what is not done yet is an issue, not a comment", &wrong);
}

#[test]
fn no_file_names_the_host_of_a_package_registry() {
    // Put together here, so that this file does not name them.
    let hosts: Vec<String> = [
        ("index", "crates.io"),
        ("static", "crates.io"),
        ("registry", "npmjs.org"),
        ("files", "pythonhosted.org"),
        ("deb", "debian.org"),
        ("proxy", "golang.org"),
    ]
    .map(|(host, domain)| format!("{host}.{domain}"))
    .into();
    let mut waiting = vec![root()];
    let mut wrong = Vec::new();
    while let Some(path) = waiting.pop() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            // What is built and what git keeps is not committed.
            if name != "target" && name != ".git" {
                waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let named = hosts.iter().filter(|host| text.contains(host.as_str()));
            wrong.extend(named.map(|host| format!("{} names {host}", path.display())));
        }
    }
    assert_none(
        "where packages come from is the machine's affair: on another one it is another host",
        &wrong,
    );
}
