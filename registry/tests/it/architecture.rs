//! What must be absent from which source file.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The pure files, and what would make them impure.
const PURE: [&str; 37] = [
    "accounts/change.rs",
    "accounts/importing.rs",
    "accounts/linking.rs",
    "accounts/rules.rs",
    "accounts/throttle.rs",
    "accounts/tries.rs",
    "address.rs",
    "cluster/deciding/phase.rs",
    "cluster/election.rs",
    "cluster/election/message.rs",
    "cluster/ledger.rs",
    "cluster/ledger/apply.rs",
    "cluster/ledger/follower.rs",
    "cluster/ledger/leader.rs",
    "cluster/ledger/limits.rs",
    "cluster/ledger/log.rs",
    "cluster/ledger/message.rs",
    "cluster/ledger/prepare.rs",
    "cluster/ledger/proposals.rs",
    "cluster/ledger/recovery.rs",
    "cluster/ledger/snapshot.rs",
    "cluster/ledger/standing.rs",
    "cluster/members.rs",
    "cluster/table/claims.rs",
    "cluster/table/log.rs",
    "cluster/table/message.rs",
    "cluster/table/order.rs",
    "cluster/table/replica.rs",
    "cluster/term.rs",
    "routes/command.rs",
    "routes/differences.rs",
    "routes/mod.rs",
    "routes/offline.rs",
    "routes/sets.rs",
    "routes/snapshot.rs",
    "routes/types.rs",
    "routes/upkeep.rs",
];
const IMPURE: [&str; 10] = [
    "tokio",
    "tonic",
    "prost",
    "ring::",
    "tracing",
    "std::fs",
    "std::time",
    "Instant",
    "HashMap",
    "::v1",
];

/// The only files that know generated types, and the folders of their parts: what peers call, and what nodes of a cluster do.
const WIRE: [&str; 4] = [
    "src/service.rs",
    "src/service",
    "src/cluster/wire.rs",
    "src/cluster/wire",
];

/// Whether a line has a word that is not the end of another one, as `ring::` is of `Ordering::`, or of `String::`.
fn names(line: &str, word: &str) -> bool {
    let is_end = |at: usize| line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    let mut found = line.match_indices(word);
    found.any(|(at, _)| !word.starts_with(char::is_alphabetic) || !is_end(at))
}

#[test]
fn what_decides_is_pure() {
    assert!(names("use ring::digest;", "ring::") && names("(v: proto::v1::Peer)", "::v1"));
    assert!(!names("Ordering::Less; String::new()", "ring::"));

    for file in PURE {
        let source = fs::read_to_string(Path::new("src").join(file)).unwrap();
        for word in IMPURE {
            assert!(!code(&source).any(|line| names(line, word)), "{word} in {file}");
        }
    }
}

/// The drivers of a node and of its table see the wire through `wire` alone.
#[test]
fn the_cluster_has_one_edge() {
    let files = sources("src/cluster", &WIRE);
    assert!(files.len() > 40, "only {} files were read", files.len());
    for (path, source) in files {
        for word in ["tonic", "prost", "hub::", "service::"] {
            assert!(
                !code(&source).any(|line| line.contains(word)),
                "{word} in {}",
                path.display()
            );
        }
    }
}

#[test]
fn generated_types_stay_at_the_edge() {
    for (path, source) in sources("src", &WIRE) {
        assert!(
            !code(&source).any(|line| line.contains("v1::")),
            "generated types in {}",
            path.display()
        );
    }
}

/// What is in a folder and in all folders below it, but for some files and folders.
fn sources(below: &str, except: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(below)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if except.iter().any(|other| path == Path::new(other)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = fs::read_to_string(&path).unwrap();
                found.push((path, source));
            }
        }
    }
    found
}

/// The lines that are not comments.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter(|line| !line.trim_start().starts_with("//"))
}
