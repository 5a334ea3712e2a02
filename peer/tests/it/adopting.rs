//! Conversations are taken along from one authority to another by their user's word, for his eyes.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;

use crate::harness::{Peer, Registry, peerchat};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn peer(data: &Path, registry: &Registry, name: &str) -> (Peer, String) {
    let mut peer = Peer::spawn(data, &registry.address.to_string(), name, &[]);
    let ready = peer.wait("ready", |event| event["event"] == "ready");
    let authority = ready["authority"].as_str().unwrap().to_owned();
    (peer, authority)
}

/// What `peerchat adopt` prints for alice, who is not asked anything.
fn adopt(data: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = peerchat(data, &[&["adopt", "--user", "alice"], args].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn texts(data: &Path, conversation: &str, args: &[&str]) -> Vec<String> {
    let output = peerchat(
        data,
        &[&["log", conversation, "--user", "alice", "--json"], args].concat(),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let text = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["text"].as_str().unwrap().to_owned()
    };
    lines.lines().map(text).collect()
}

/// Two registries, alice's data folder with a room and a direct conversation under the first, and both fingerprints once she was at the other.
struct Moved {
    old: Registry,
    new: Registry,
    data: TempDir,
    fingerprints: [String; 2],
}

fn moved() -> Moved {
    let (old, new) = (Registry::start(DAY), Registry::start(DAY));
    let [data, bobs] = [(); 2].map(|()| TempDir::new().unwrap());
    let (mut alice, first) = peer(data.path(), &old, "alice");
    let (mut bob, _) = peer(bobs.path(), &old, "bob");
    for one in [&mut alice, &mut bob] {
        one.join("lobby");
    }
    alice.see("#lobby", "bob");
    bob.see("#lobby", "alice");
    alice.say("old from alice");
    bob.hear("old from alice");
    bob.say("old from bob");
    alice.hear("old from bob");
    alice.type_line("/msg bob for our bob alone");
    bob.hear("for our bob alone");
    bob.quit();
    alice.quit();
    let (alice, second) = peer(data.path(), &new, "alice");
    assert_eq!(adopt(data.path(), &["#lobby", "--yes"]).0, Some(1), "a peer runs");
    alice.quit();
    Moved {
        old,
        new,
        data,
        fingerprints: [first, second],
    }
}

#[test]
fn what_is_taken_along_is_shown_to_its_user_and_given_to_nobody() {
    let Moved {
        old,
        new,
        data,
        fingerprints,
    } = moved();
    let data = data.path();

    // Both authorities are shown before anything is done, and nothing is done without a word.
    for args in [&[][..], &["#lobby"]] {
        let (_, said) = adopt(data, args);
        assert!(fingerprints.iter().all(|one| said.contains(one)), "{said}");
        assert!(said.contains(&old.address.to_string()), "{said}");
    }
    let (code, said) = adopt(data, &["#lobby", "@nobody", "--yes"]);
    assert!(code == Some(1) && said.contains("no log of @nobody"), "{said}");
    let asked = peerchat(data, &["log", "#lobby", "--user", "alice"]);
    assert_eq!(asked.status.code(), Some(1), "nothing was taken along so far");
    let (code, said) = adopt(data, &["#lobby", "@bob", "--yes"]);
    assert!(code == Some(0) && said.contains("not met bob"), "{said}");

    let (mut alice, _) = peer(data, &new, "alice");
    alice.type_line("/join lobby");
    alice.wait("what is above the room", |event| {
        event["event"] == "replayed"
            && event["conversation"] == "#lobby"
            && event["why"] == "earlier"
            && event["count"] == 2
    });
    let strangers = TempDir::new().unwrap();
    let (mut stranger, _) = peer(strangers.path(), &new, "bob");
    stranger.join("lobby");
    alice.see("#lobby", "bob");
    stranger.see("#lobby", "alice");
    stranger.say("new from another bob");
    alice.hear("new from another bob");
    let (lines, end) = alice.replayed("/history");
    let shown: Vec<_> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(shown, ["old from alice", "old from bob", "new from another bob"]);
    assert_eq!((&end["more"], &end["count"]), (&false.into(), &3.into()));
    let (lines, _) = alice.replayed("/history 1");
    assert_eq!(lines[0]["text"], "new from another bob");
    let (lines, _) = alice.replayed("/search OLD FROM");
    assert_eq!(lines.len(), 2);
    stranger.type_line("/msg alice who was here before me?");
    alice.hear("who was here before me?");
    alice.type_line("/msg bob nobody");
    // It is the last of all that alice has for him.
    stranger.hear("nobody");
    let given = stranger
        .events()
        .iter()
        .any(|event| event.to_string().contains("old from"));
    assert!(
        !given
            && !stranger
                .events()
                .iter()
                .any(|event| event.to_string().contains("for our bob alone"))
    );
    stranger.quit();
    alice.quit();

    assert_eq!(
        texts(data, "@bob", &[]),
        ["for our bob alone", "who was here before me?", "nobody"]
    );
    assert_eq!(
        texts(data, "#lobby", &["--authority", &fingerprints[1]]),
        ["new from another bob"]
    );
    let verified = peerchat(data, &["verify", "--user", "alice"]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );

    // Nothing of it has changed where it is from.
    let (mut alice, _) = peer(data, &old, "alice");
    alice.type_line("/switch #lobby");
    let (lines, _) = alice.replayed("/history");
    assert_eq!(lines.len(), 2);
    alice.quit();
}

#[test]
fn what_was_taken_along_can_be_taken_back_and_a_damaged_file_is_told() {
    let Moved { new, data, .. } = moved();
    let data = data.path();
    assert_eq!(adopt(data, &["#lobby", "--yes"]).0, Some(0));
    assert_eq!(texts(data, "#lobby", &[]), ["old from alice", "old from bob"]);
    assert_eq!(adopt(data, &["#lobby", "--undo"]).0, Some(0));
    assert_eq!(texts(data, "#lobby", &[]), Vec::<String>::new());
    assert_eq!(adopt(data, &["#lobby", "--yes"]).0, Some(0));
    let authorities = data.join("alice/authorities");
    let place = fs::read_dir(authorities).unwrap().next().unwrap().unwrap().path();
    fs::write(place.join("rooms/lobby/earlier"), "nonsense").unwrap();
    let verified = peerchat(data, &["verify", "--user", "alice"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.status.code() == Some(1) && said.contains("earlier  it is damaged"),
        "{said}"
    );
    let (mut alice, _) = peer(data, &new, "alice");
    let told = alice.error("log_damaged");
    assert!(told.contains("peerchat adopt"), "{told}");
    alice.quit();
}
