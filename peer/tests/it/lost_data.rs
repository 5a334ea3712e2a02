//! Data that is lost, wholly or in part, while its peer does not run.

use std::{fs, path::Path, process::Command};

use crate::harness::{Peer, Site, assert_each_once};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Everybody in the room says something, and everybody has it. Returns what was said.
fn all_talk(peers: &mut [Peer], about: &str) -> Vec<String> {
    let texts = peers
        .iter()
        .flat_map(|peer| (0..5).map(move |n| format!("{}, {about} {n}", peer.name)));
    let texts: Vec<String> = texts.collect();
    for (peer, own) in peers.iter_mut().zip(texts.chunks(5)) {
        peer.type_lines(own);
    }
    texts
}

fn wait_for_all(peers: &mut [Peer], version: usize) {
    for peer in peers {
        peer.wait_version(version as u64);
    }
}

/// Carol is there again after `loss` has happened to her folder; all talk, and all have everything, once.
fn carol_loses(loss: impl FnOnce(&Site)) {
    let site = Site::new();
    // Without her folder she is a new device, which needs the password.
    let password = site.password_file("carol");
    let with_password = ["--password-file", password.as_str()];
    let mut peers = site.room("lobby", &NAMES[..2]);
    let mut carol = site.peer_with("carol", &with_password);
    carol.join("lobby");
    for peer in &mut peers {
        peer.see("#lobby", "carol");
    }
    peers.push(carol);
    let mut texts = all_talk(&mut peers, "before");
    wait_for_all(&mut peers, texts.len());
    peers.pop().unwrap().quit();
    texts.extend(all_talk(&mut peers, "meanwhile"));
    loss(&site);
    let mut carol = site.peer_with("carol", &with_password);
    carol.join("lobby");
    carol.wait_version(texts.len() as u64);
    peers.push(carol);
    texts.extend(all_talk(&mut peers, "afterwards"));
    wait_for_all(&mut peers, texts.len());
    for peer in peers {
        peer.quit();
    }
    assert_each_once(&site.assert_same_logs(&NAMES, "#lobby"), &texts);
}

#[test]
fn a_lost_conversation_comes_back_from_the_others() {
    carol_loses(|site| fs::remove_dir_all(site.folder("carol").join("rooms/lobby")).unwrap());
}

#[test]
fn a_lost_data_folder_comes_back_from_the_others() {
    carol_loses(|site| fs::remove_dir_all(site.folder("carol")).unwrap());
}

#[test]
fn a_lost_index_and_a_cut_log_come_back() {
    carol_loses(|site| {
        let folder = site.folder("carol").join("rooms/lobby");
        fs::remove_file(folder.join("index")).unwrap();
        let log = fs::File::options().write(true).open(folder.join("log")).unwrap();
        log.set_len(log.metadata().unwrap().len() * 2 / 3).unwrap();
    });
}

#[test]
fn a_conversation_that_is_lost_to_kill_9_comes_back() {
    let site = Site::new();
    let mut peers = site.room("lobby", &NAMES);
    let mut texts = all_talk(&mut peers, "before");
    wait_for_all(&mut peers, texts.len());
    peers.pop().unwrap().kill();
    fs::remove_dir_all(site.folder("carol").join("rooms")).unwrap();
    let mut carol = site.peer("carol");
    // She writes before she has heard of anything that she wrote.
    carol.join("lobby");
    carol.say("carol again");
    texts.push("carol again".into());
    peers.push(carol);
    wait_for_all(&mut peers, texts.len());
    for peer in peers {
        peer.quit();
    }
    assert_each_once(&site.assert_same_logs(&NAMES, "#lobby"), &texts);
}

/// Carol's folder is put back to what it was some messages ago. She writes again, before or after she has met the others.
fn carol_is_restored(meets_nobody_at_first: bool) {
    let mut site = Site::new();
    let mut peers = site.room("lobby", &NAMES);
    let mut texts = all_talk(&mut peers, "before the copy");
    wait_for_all(&mut peers, texts.len());
    peers.pop().unwrap().quit();
    // A copy after a clean end: with all that would let the next run go on with the same numbers, were it no copy.
    copy_folder(&site.folder("carol"), &site.folder("copy"));
    peers.push(site.peer("carol"));
    texts.extend(all_talk(&mut peers, "after the copy"));
    wait_for_all(&mut peers, texts.len());
    peers.pop().unwrap().quit();
    fs::remove_dir_all(site.folder("carol")).unwrap();
    fs::rename(site.folder("copy"), site.folder("carol")).unwrap();
    if meets_nobody_at_first {
        site.registry.kill();
    }
    peers.push(site.peer("carol"));
    texts.extend(all_talk(&mut peers, "after it was restored"));
    if meets_nobody_at_first {
        peers[2].wait_count("own message", 5, |event| event["event"] == "sent");
        site.registry.restart();
    }
    wait_for_all(&mut peers, texts.len());
    for peer in peers {
        peer.quit();
    }
    assert_each_once(&site.assert_same_logs(&NAMES, "#lobby"), &texts);
}

#[test]
fn a_disk_restored_from_an_older_copy_writes_no_number_twice() {
    carol_is_restored(false);
}

#[test]
fn a_disk_restored_from_an_older_copy_writes_no_number_twice_without_the_others() {
    carol_is_restored(true);
}

fn copy_folder(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-r")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_lost_direct_conversation_comes_back_from_the_other_one() {
    let site = Site::new();
    let password = site.password_file("carol");
    let with_password = ["--password-file", password.as_str()];
    let (mut alice, mut carol) = (site.peer("alice"), site.peer_with("carol", &with_password));
    carol.type_line("/msg alice my own");
    alice.hear("my own");
    alice.type_line("/msg carol and hers");
    carol.hear("and hers");
    carol.quit();
    fs::remove_dir_all(site.folder("carol")).unwrap();
    // She is another device now; the conversation is the user's.
    let mut carol = site.peer_with("carol", &with_password);
    carol.type_line("/msg alice new");
    alice.hear("new");
    carol.wait_version(3);
    carol.quit();
    alice.quit();
    for (name, other) in [("alice", "@carol"), ("carol", "@alice")] {
        assert_each_once(&site.texts(name, other), ["my own", "and hers", "new"]);
        site.assert_sound(name);
    }
}
