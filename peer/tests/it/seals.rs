//! What an author has said is known to be his whoever passes it on, and whoever contradicts himself is found out.

use std::fs;

use crate::{
    harness::{Peer, Site, peerchat, wait_for},
    wire::{Fake, Link, room},
};

/// Where the seals of alice's lobby are.
const SEALS: &str = "rooms/lobby/seals";

#[test]
fn what_a_dead_author_said_is_taken_from_a_third_member() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let texts: Vec<String> = (0..300).map(|n| format!("text {n}")).collect();
    peers[1].type_lines(&texts);
    peers[0].wait_version(300);
    // Of the last one too the seal must be there; nobody tells of that but what can be served.
    let mut asker = Fake::log_in(&site, "asker");
    asker.join("lobby");
    wait_for("alice to hold all seals", || {
        let version = asker.ask_version(&peers[0], room("lobby"));
        version.is_ok_and(|version| version == 300).then_some(())
    });
    asker.leave("lobby");
    peers.pop().unwrap().kill();
    let mut carol = site.peer("carol");
    carol.join("lobby");
    carol.wait_version(300);
    peers.pop().unwrap().quit();
    carol.quit();
    assert_eq!(site.assert_same_logs(&["alice", "carol"], "#lobby"), texts);
}

/// Janus greets, which is the same for all, and goes on with something of his own.
fn says(janus: &Fake, link: &Link<'_>, texts: &[&str]) {
    let mut pen = janus.pen(room("lobby"));
    let mut said = vec![pen.write("hello")];
    said.extend(texts.iter().map(|text| pen.write(text)));
    link.send(janus.sealed(&said));
}

fn wait_fork(peer: &mut Peer) -> String {
    let notice = peer.wait("the contradiction", |event| event["code"] == "fork");
    notice["message"].as_str().unwrap().to_owned()
}

/// Both entries are in the proof of which the user was told.
fn assert_proved(site: &Site, notice: &str, texts: [&str; 2]) {
    assert!(notice.contains("janus contradicts himself"), "{notice}");
    let proofs: Vec<_> = fs::read_dir(site.folder("alice").join("proofs")).unwrap().collect();
    assert_eq!(proofs.len(), 1, "{notice}");
    let path = proofs[0].as_ref().unwrap().path();
    assert!(notice.contains(path.to_str().unwrap()), "{notice}");
    let proof = fs::read_to_string(path).unwrap();
    for text in texts {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(proof.contains(&hex), "{text} is not in {proof}");
    }
}

#[test]
fn who_says_one_thing_to_one_and_another_thing_to_another_is_found_out() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let mut janus = Fake::log_in(&site, "janus");
    janus.join("lobby");
    let (to_alice, to_bob) = (janus.link(&peers[0]), janus.link(&peers[1]));
    says(&janus, &to_alice, &["to alice"]);
    peers[0].hear("to alice");
    // Bob is told more, so that alice pulls it from him.
    says(&janus, &to_bob, &["to bob", "and more"]);
    peers[1].hear("and more");
    let notice = wait_fork(&mut peers[0]);
    // Everybody else goes on, and with each other: bob is not to blame for what he was told.
    peers[0].say("did you say that?");
    peers[1].hear("did you say that?");
    peers[1].say("no");
    peers[0].hear("no");
    let blamed = |peer: &Peer| peer.events().into_iter().find(|event| event["code"] == "bad_history");
    assert_eq!((blamed(&peers[0]), blamed(&peers[1])), (None, None));
    let shown = peers[0].shown("#lobby");
    for peer in peers {
        peer.quit();
    }
    assert!(shown.contains(&"to alice".to_owned()) && !shown.contains(&"to bob".to_owned()));
    // The second thing that bob was told does not follow from the first that alice was told.
    assert_proved(&site, &notice, ["to alice", "and more"]);
    site.assert_sound("alice");
    site.assert_sound("bob");
}

#[test]
fn who_says_two_things_under_one_number_to_the_same_one_is_reported_with_both() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    let mut janus = Fake::log_in(&site, "janus");
    janus.join("lobby");
    let link = janus.link(&alice);
    says(&janus, &link, &["to alice"]);
    alice.hear("to alice");
    says(&janus, &link, &["to bob"]);
    let notice = wait_fork(&mut alice);
    alice.say("still here");
    let shown = alice.shown("#lobby");
    assert_eq!(shown, ["hello", "to alice", "still here"]);
    alice.quit();
    assert_proved(&site, &notice, ["to alice", "to bob"]);
    site.assert_sound("alice");
}

#[test]
fn verify_finds_a_seal_that_was_altered() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    peers[1].say("hello");
    peers[0].hear("hello");
    let mut asker = Fake::log_in(&site, "asker");
    asker.join("lobby");
    wait_for("alice to hold the seal", || {
        let version = asker.ask_version(&peers[0], room("lobby"));
        version.is_ok_and(|version| version == 1).then_some(())
    });
    for peer in peers {
        peer.quit();
    }
    site.assert_sound("alice");
    let path = site.folder("alice").join(SEALS);
    let whole = fs::read(&path).unwrap();
    let slot = 48;
    assert!(whole.len() >= slot + 148, "there is a seal");
    // The signature, with and without a check sum that fits.
    for fits in [false, true] {
        let mut altered = whole.clone();
        altered[slot + 100] ^= 1;
        if fits {
            let sum = crc32c::crc32c_append(crc32c::crc32c(&whole[12..20]), &altered[slot..slot + 144]);
            altered[slot + 144..slot + 148].copy_from_slice(&sum.to_le_bytes());
        }
        fs::write(&path, altered).unwrap();
        let output = peerchat(site.data.path(), &["verify", "--user", "alice"]);
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let expected = if fits { "is not its author's" } else { "no whole seal" };
        assert!(told.contains(expected) && told.contains("seals"), "{told}");
    }
    fs::write(&path, whole).unwrap();
    site.assert_sound("alice");
}
