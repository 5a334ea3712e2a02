//! What is sound is measured, and what is not is named.

use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    folder::places,
    log::{Introductions, Log, Seals},
    net::convert::encode_entry,
    node::contradiction::Contradiction,
    node::types::{Body, DeviceId, Draft, Lamport, Seq, WallTime},
    seal::{
        self, DeviceJudge, DeviceNotary, SharedNotary,
        testing::{AUTHORITY, HashNotary, introduced},
    },
};
use peerchat_identity::DeviceKey;

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn draft(conversation: &Conversation, author: &str, incarnation: u64) -> Draft {
    Draft {
        conversation: conversation.clone(),
        author: Author {
            device: DeviceId([7; 32]),
            incarnation,
        },
        seq: Seq::FIRST,
        user: Some(user(author)),
        previous: AUTHORITY.origin(),
        seen: Vec::new(),
        lamport: Lamport(1),
        sent_at: WallTime(0),
        body: Body::Text("hi".into()),
    }
}

/// What `peerchat verify` says of alice's log with bob that holds these entries.
fn verified(drafts: impl FnOnce(&Conversation) -> Vec<Draft>) -> Result<String, String> {
    verified_with(drafts, |_, _| {})
}

/// The same where something is put beside the log.
fn verified_with(
    drafts: impl FnOnce(&Conversation) -> Vec<Draft>,
    beside: impl FnOnce(&Path, &[Arc<Entry>]),
) -> Result<String, String> {
    let data = tempfile::tempdir().unwrap();
    let config = LogConfig {
        user: user("alice"),
        data: data.path().to_owned(),
        authority: None,
    };
    let conversation = Conversation::direct(&config.user, &user("bob"));
    let own = data.path().join("alice");
    std::fs::create_dir(&own).unwrap();
    places::of(&own, AUTHORITY).unwrap();
    let folder = log::prepare(&RealDisk, &own, &config.user, &conversation).unwrap();
    let (mut log, _) = Log::open(RealDisk, &folder, decode_entry).unwrap();
    let entries: Vec<_> = drafts(&conversation).into_iter().map(encode_entry).collect();
    log.append(&entries).unwrap();
    log.close(None).unwrap();
    beside(&folder, &entries);
    let mut out = Vec::new();
    match verifying::verify_by(&config, &|_: &Path| Ok(DeviceJudge::new(introduced)), &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_whole_log_is_measured() {
    let good = verified(|with_bob| vec![draft(with_bob, "bob", 1), draft(with_bob, "Bob", 2)]);
    assert!(good.unwrap().starts_with("@bob  ok  version 2  authors 2  "));
}

#[test]
fn a_seal_that_proves_nothing_is_named() {
    let key = || DeviceKey::generate().unwrap();
    let (key, other) = (key(), key());
    let device = DeviceId(key.public());
    let of_bob = |with_bob: &Conversation| {
        let author = Author { device, incarnation: 1 };
        vec![Draft {
            author,
            ..draft(with_bob, "bob", 1)
        }]
    };
    let judge = || DeviceJudge::new(introduced);
    let notaries = [key, other].map(|key| DeviceNotary::shared(move |message| key.sign(message), judge()));
    let sealed = |folder: &Path, entry: &Entry, notary: &SharedNotary, id: EntryId, user: &str| {
        let made = seal::make(notary.as_ref(), &entry.conversation, entry.author, entry.seq, id);
        Seals::open(RealDisk, folder).unwrap().push(&made).unwrap();
        let own = folder.parent().and_then(Path::parent).unwrap();
        let certificate = HashNotary::certificate(device, user);
        let (mut introductions, _) = Introductions::open(&RealDisk, own).unwrap();
        introductions.push(&certificate).unwrap();
    };
    let good = verified_with(of_bob, |folder, entries| {
        sealed(folder, &entries[0], &notaries[0], entries[0].id, "bob");
    });
    assert!(
        good.as_ref().is_ok_and(|line| line.ends_with("  sealed 1\n")),
        "{good:?}"
    );
    let forged = verified_with(of_bob, |folder, entries| {
        sealed(folder, &entries[0], &notaries[1], entries[0].id, "bob");
    });
    let of_another = verified_with(of_bob, |folder, entries| {
        sealed(folder, &entries[0], &notaries[0], EntryId([9; 32]), "bob");
    });
    let altered = verified_with(of_bob, |folder, entries| {
        sealed(folder, &entries[0], &notaries[0], entries[0].id, "bob");
        let path = folder.join(log::SEALS_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    });
    let other_name = verified_with(of_bob, |folder, entries| {
        sealed(folder, &entries[0], &notaries[0], entries[0].id, "carol");
    });
    let contradicts = |folder: &Path, entry: &Entry, notary: &SharedNotary| {
        let seal = |id| seal::make(notary.as_ref(), &entry.conversation, entry.author, entry.seq, id);
        let (log, _) = Log::open(RealDisk, folder, decode_entry).unwrap();
        let proof = Contradiction {
            seal: seal(entry.id),
            other: seal(EntryId([9; 32])),
            entries: Vec::new(),
        };
        log.keep_contradiction(&proof).unwrap();
        log.close(None).unwrap();
    };
    verified_with(of_bob, |folder, entries| contradicts(folder, &entries[0], &notaries[0])).unwrap();
    let slandered = verified_with(of_bob, |folder, entries| contradicts(folder, &entries[0], &notaries[1]));
    for (found, why) in [
        (slandered, "-0000000000000001 is damaged at byte 0: it does not prove"),
        (forged, "/direct/bob/seals is damaged at byte 48: the seal of entry 1"),
        (of_another, "is of another entry than the log's"),
        (altered, "no whole seal"),
        (other_name, "writes as bob, but it is carol's"),
    ] {
        let found = found.unwrap_err();
        assert!(found.starts_with("@bob: ") && found.contains(why), "{found}");
    }
}

#[test]
fn whole_entries_that_break_a_rule_are_named() {
    let late = |with_bob: &Conversation| Draft {
        lamport: Lamport(9),
        ..draft(with_bob, "bob", 2)
    };
    let next = |with_bob: &Conversation| Draft {
        seq: Seq(2),
        user: None,
        previous: EntryId([1; 32]),
        lamport: Lamport(2),
        ..draft(with_bob, "bob", 1)
    };
    type Drafts<'a> = &'a dyn Fn(&Conversation) -> Vec<Draft>;
    let cases: [(Drafts<'_>, &str); 4] = [
        (
            &|bob| vec![draft(bob, "bob", 1), late(bob)],
            "has Lamport time 9; its causes make it 1",
        ),
        (
            &|bob| vec![draft(bob, "bob", 1), draft(bob, "alice", 2)],
            "writes as alice, but it is bob's",
        ),
        (&|bob| vec![draft(bob, "carol", 1)], "carol is not one of the two"),
        (&|bob| vec![draft(bob, "bob", 1), next(bob)], "follows another entry"),
    ];
    for (drafts, why) in cases {
        let error = verified(drafts).unwrap_err();
        assert!(
            error.starts_with("@bob: ") && error.contains("/direct/bob/log is damaged at byte "),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
    }
}
