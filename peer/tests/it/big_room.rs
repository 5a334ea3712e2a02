//! A newcomer in a large room.

use serde_json::Value;

use crate::harness::Site;

const ENTRIES: u64 = 100_000;

#[test]
fn the_prompt_answers_while_a_hundred_thousand_entries_arrive() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.type_lines((0..ENTRIES).map(|n| format!("line {n}")));
    alice.wait("the last line", |event| {
        event["event"] == "sent" && event["version"] == ENTRIES
    });

    let mut bob = site.peer("bob");
    bob.type_line("/join lobby");
    let mut progress = Vec::new();
    let mut note = |event: &Value| {
        if event["event"] == "progress" {
            progress.push((event["have"].as_u64().unwrap(), event["of"].as_u64().unwrap()));
        }
    };
    let mut versions = Vec::new();
    bob.wait("joined", |event| event["event"] == "joined");
    // A question whenever there is news of the progress, until all is there.
    let mut synced = false;
    loop {
        bob.type_line("/version");
        let answer = bob.wait("an answer", |event| {
            synced |= event["event"] == "synced";
            note(event);
            event["event"] == "version"
        });
        versions.push(answer["version"].as_u64().unwrap());
        if synced {
            break;
        }
        bob.wait("progress", |event| {
            synced |= event["event"] == "synced";
            note(event);
            synced || event["event"] == "progress"
        });
    }
    assert_eq!(versions.last(), Some(&ENTRIES));
    assert!(versions.is_sorted());
    let midway = versions.iter().filter(|version| (1..ENTRIES).contains(version)).count();
    assert!(midway > 2, "answered only {midway} times while history arrived");
    assert!(progress.len() > 2 && progress.is_sorted(), "{progress:?}");
    assert!(progress.iter().all(|(have, of)| have <= of && *of == ENTRIES));
    println!("{midway} answers and {} reports of progress", progress.len());

    // A newcomer is shown the last entries, not all.
    let replayed = bob.events().iter().filter(|event| event["event"] == "message").count();
    assert_eq!(replayed, 50);
    alice.quit();
    bob.quit();
    assert_eq!(site.assert_same_logs(&["alice", "bob"], "#lobby").len() as u64, ENTRIES);
}
