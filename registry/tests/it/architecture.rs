//! What must be absent from which source file.

use std::{fs, path::Path};

/// The pure files, and what would make them impure.
const PURE: [&str; 9] = [
    "accounts/linking.rs",
    "accounts/rules.rs",
    "accounts/throttle.rs",
    "address.rs",
    "routes/command.rs",
    "routes/mod.rs",
    "routes/offline.rs",
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

/// The only file that knows generated types, and the folder of its parts.
const WIRE: [&str; 2] = ["src/service.rs", "src/service"];

#[test]
fn what_decides_is_pure() {
    for file in PURE {
        let source = fs::read_to_string(Path::new("src").join(file)).unwrap();
        for word in IMPURE {
            assert!(!code(&source).any(|line| line.contains(word)), "{word} in {file}");
        }
    }
}

#[test]
fn generated_types_stay_at_the_edge() {
    let mut folders = vec![Path::new("src").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if WIRE.iter().any(|wire| path == Path::new(wire)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = fs::read_to_string(&path).unwrap();
                assert!(
                    !code(&source).any(|line| line.contains("v1::")),
                    "generated types in {}",
                    path.display()
                );
            }
        }
    }
}

/// The lines that are not comments.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter(|line| !line.trim_start().starts_with("//"))
}
