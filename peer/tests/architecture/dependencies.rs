//! What the peer's program is made of.

use std::{collections::BTreeSet, process::Command};

use crate::{assert_none, sources::root};

/// The drivers of servers that the registries of a site share: the feature `shared` of peerchat-registry.
const OF_SITES: [&str; 3] = ["redis", "sqlx-mysql", "sqlx-postgres"];

#[test]
fn the_peer_is_built_without_the_drivers_of_sites() {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["tree", "--package", "peerchat", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo cannot tell the dependencies:\n{told}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("sqlx-sqlite"), "a registry that a peer hosts has SQLite");

    let found = OF_SITES.into_iter().filter(|driver| names.contains(driver));
    let found: Vec<String> = found.map(str::to_owned).collect();
    assert_none(
        "a peer hosts a registry of its own and needs no other server: peerchat-registry is used without its feature `shared`",
        &found,
    );
}
