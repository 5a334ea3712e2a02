//! Files of the data folder that are not what they should be: `peerchat verify` names each, the next start says once what it did about it and goes
//! on, and from then on all is well.

use std::{fs, path::Path, process::Command};

use crate::harness::{Peer, Site, peerchat};

type Harm = fn(&Path);

/// A file is damaged, in each of these ways.
const HARMS: [(&str, Harm); 5] = [
    ("emptied", |path| fs::write(path, "").unwrap()),
    ("garbage", |path| fs::write(path, [0xa5; 300]).unwrap()),
    ("much too long", |path| fs::write(path, [0xa5; 2_000_000]).unwrap()),
    ("a folder in its place", |path| {
        let _ = fs::remove_file(path);
        fs::create_dir(path).unwrap();
    }),
    ("a bit", |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
];

/// A file below alice's folder, and whether something is lost with it, so that `verify` ends with 1.
const FILES: [(&str, bool); 13] = [
    ("device.key", true),
    ("certificate.der", true),
    ("authority.der", true),
    ("state.json", true),
    ("people.json", true),
    ("introductions", true),
    ("rooms/lobby/name", true),
    ("rooms/lobby/log", true),
    ("rooms/lobby/seals", true),
    ("rooms/lobby/forked", true),
    ("rooms/lobby/index", false),
    ("rooms/lobby/resume", false),
    ("../known_registries", true),
];

/// Whatever lies there already, files in the place of folders and folders in the place of files that need not be there.
const PLACES: [&str; 11] = [
    "rooms",
    "direct",
    "proofs",
    "lock",
    "input-history",
    "rooms/lobby/invitation",
    "rooms/lobby/log.damaged-1",
    "rooms/lobby/contradiction-0101010101010101010101010101010101010101010101010101010101010101-0000000000000001",
    "rooms/lobby/log.tmp",
    "state.json.tmp",
    "certificate.tmp",
];

fn errors(peer: &Peer) -> Vec<String> {
    let events = peer.events();
    let errors = events.iter().filter(|event| event["event"] == "error");
    errors
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

/// A site in which alice has talked with bob in two rooms, and a copy of her folder.
struct Talked {
    site: Site,
    bob: Peer,
    password: String,
    said: usize,
}

impl Talked {
    fn new() -> Self {
        let site = Site::new();
        let password = site.password_file("alice");
        let mut bob = site.peer("bob");
        bob.join("lobby");
        let mut alice = site.peer_with("alice", &["--password-file", &password]);
        alice.join("lobby");
        bob.see("#lobby", "alice");
        alice.say("hello");
        bob.hear("hello");
        alice.join("other");
        alice.say("to nobody");
        alice.quit();
        copy(&site.folder("alice"), &site.data.path().join("kept"));
        fs::copy(
            site.data.path().join("known_registries"),
            site.data.path().join("kept/known"),
        )
        .unwrap();
        Self {
            site,
            bob,
            password,
            said: 0,
        }
    }

    /// Alice's folder as it was.
    fn restore(&self) {
        let folder = self.site.folder("alice");
        fs::remove_dir_all(&folder).unwrap();
        copy(&self.site.data.path().join("kept"), &folder);
        let known = self.site.data.path().join("known_registries");
        if known.is_dir() {
            fs::remove_dir_all(&known).unwrap();
        }
        fs::rename(folder.join("known"), known).unwrap();
    }

    /// Exchanges a file of her two rooms.
    fn swap(&self, file: &str) {
        let rooms = self.site.folder("alice").join("rooms");
        let [a, b] = ["lobby", "other"].map(|room| rooms.join(room).join(file));
        let c = rooms.join("c");
        fs::rename(&a, &c).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(&c, &b).unwrap();
    }

    fn verify(&self) -> (Option<i32>, String) {
        let verified = peerchat(self.site.data.path(), &["verify", "--user", "alice"]);
        let said = String::from_utf8(verified.stdout).unwrap() + &String::from_utf8(verified.stderr).unwrap();
        (verified.status.code(), said)
    }

    fn start(&self) -> Peer {
        self.site.peer_with("alice", &["--password-file", &self.password])
    }

    /// Alice starts, is told, and talks; then all is well. Returns what she was told.
    fn goes_on(&mut self, what: &str) -> Vec<String> {
        let mut alice = self.start();
        alice.join("lobby");
        self.said += 1;
        let text = format!("{what}, {}", self.said);
        alice.say(&text);
        self.bob.hear(&text);
        let told = errors(&alice);
        alice.quit();
        let (code, said) = self.verify();
        assert_eq!(code, Some(0), "{what}: {said}");
        let alice = self.start();
        assert!(errors(&alice).is_empty(), "{what} is told once: {:?}", errors(&alice));
        alice.quit();
        told
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn each_file_that_is_damaged_is_named_and_set_aside_and_the_rest_goes_on() {
    let mut talked = Talked::new();
    for (file, is_lost) in FILES {
        for (how, harm) in HARMS {
            let what = format!("{file}: {how}");
            talked.restore();
            let path = talked.site.folder("alice").join(file);
            if file.ends_with("forked") {
                fs::write(&path, "x").unwrap();
            }
            harm(&path);
            let name = path.file_name().unwrap().to_str().unwrap();
            let (code, said) = talked.verify();
            let is_lost = is_lost || path.is_dir();
            // One of the two copies of a header is enough, and of the key this bit says how long it is.
            // An empty list of registries is one.
            let is_list = file.ends_with("known_registries") && how == "emptied";
            if how != "a bit" && !is_list {
                assert_eq!(code, Some(i32::from(is_lost)), "{what}: {said}");
                assert!(said.contains(name), "{what}: {said}");
            }
            let told = talked.goes_on(&what);
            if how != "a bit" && is_lost && !is_list {
                assert!(told.iter().any(|told| told.contains(name)), "{what}: {told:?}");
            }
        }
    }
}

#[test]
fn what_lies_in_the_place_of_a_file_or_folder_is_set_aside() {
    let mut talked = Talked::new();
    for place in PLACES {
        talked.restore();
        let path = talked.site.folder("alice").join(place);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        }
        let _ = fs::remove_file(&path);
        match place {
            "rooms" | "direct" | "proofs" => fs::write(&path, "in the way").unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        let (code, said) = talked.verify();
        assert!(code == Some(1) && said.contains(place), "{place}: {said}");
        talked.goes_on(place);
    }
}

#[test]
fn folders_and_names_and_logs_that_were_exchanged_are_put_right() {
    let mut talked = Talked::new();
    for (what, file, is_lost) in [
        ("folders", "", false),
        ("names", "name", false),
        ("logs", "log", true),
        ("logs with their indexes", "index", true),
    ] {
        talked.restore();
        talked.swap(file);
        if file == "index" {
            talked.swap("log");
        }
        let (code, said) = talked.verify();
        assert!(
            code == Some(1) && said.contains("lobby") && said.contains("other"),
            "{what}: {said}"
        );
        let told = talked.goes_on(what);
        assert!(told.iter().any(|told| told.contains("lobby")), "{what}: {told:?}");
        if !is_lost {
            assert_eq!(talked.site.texts("alice", "#other"), ["to nobody"], "{what}");
        }
    }
}

#[test]
fn what_lies_beside_a_log_and_is_of_another_one_harms_nobody() {
    let mut talked = Talked::new();
    for file in ["index", "seals", "resume"] {
        talked.restore();
        talked.swap(file);
        talked.goes_on(file);
        assert_eq!(talked.site.texts("alice", "#other"), ["to nobody"], "{file}");
    }
}

#[test]
fn a_room_whose_log_is_another_ones_comes_back_from_the_others() {
    let mut talked = Talked::new();
    let rooms = talked.site.folder("alice").join("rooms");
    fs::copy(rooms.join("other/log"), rooms.join("lobby/log")).unwrap();
    let (code, said) = talked.verify();
    assert!(code == Some(1) && said.contains("is of another conversation"), "{said}");
    let told = talked.goes_on("afterwards");
    assert!(
        told.iter().any(|told| told.contains("is of another conversation")),
        "{told:?}"
    );
    let texts = talked.site.texts("alice", "#lobby");
    assert!(
        texts.contains(&"hello".to_owned()) && !texts.contains(&"to nobody".to_owned()),
        "{texts:?}"
    );
    assert!(
        talked.verify().1.contains("not of it: 1 entries"),
        "the file that was set aside is named"
    );
}

#[test]
fn a_key_of_another_folder_is_named_where_the_registry_refuses_it() {
    let site = Site::new();
    let peers = site.room("lobby", &["alice", "bob"]);
    peers.into_iter().for_each(Peer::quit);
    let file = |name: &str| site.folder(name).join("device.key");
    let own = fs::read(file("alice")).unwrap();
    fs::copy(file("bob"), file("alice")).unwrap();
    let verified = peerchat(site.data.path(), &["verify", "--user", "alice"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.status.code() == Some(1) && said.contains("of another device than device.key"),
        "{said}"
    );
    let registry = site.registry.address.to_string();
    let mut alice = Peer::spawn(site.data.path(), &registry, "alice", &[]);
    assert_eq!(alice.end().code(), Some(1));
    let told = errors(&alice);
    let named = told
        .iter()
        .filter(|told| told.contains("of another device than device.key"));
    assert_eq!(named.count(), 1, "{told:?}");
    fs::write(file("alice"), own).unwrap();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.say("as before");
    alice.quit();
    site.assert_sound("alice");
}
