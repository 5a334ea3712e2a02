//! How attacks by peers that are logged in, in the room and linked are carried out, and what must come of each.

use peerchat_proto::v1::{Author, ByeReason, Conversation, Frame, Heights, Seen};

use crate::{
    harness::{Peer, Site},
    wire::{Fake, Pen, author, room},
};

/// An attack: what is sent after one good entry of `pen`, which has written nothing but that.
pub struct Attack {
    pub what: &'static str,
    /// What the victim says of it.
    pub why: &'static str,
    pub frames: fn(&Fake, &Peer, &mut Pen) -> Vec<Frame>,
}

pub fn in_room(conversation: Conversation, heights: Vec<Seen>) -> Heights {
    Heights {
        conversation: Some(conversation),
        heights,
        ..Heights::default()
    }
}

pub fn heights(heights: Vec<Heights>) -> Vec<Frame> {
    vec![Frame {
        heights,
        ..Frame::default()
    }]
}

/// An author whom nobody knows.
pub fn nobody(n: u32) -> Author {
    let mut device = vec![0xee; 28];
    device.extend(n.to_be_bytes());
    author(&device.into(), 1)
}

/// Everybody attacks alice in turn; bob talks with her all the time.
pub fn attack_all(attacks: &[Attack]) {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    for (n, attack) in attacks.iter().enumerate() {
        let what = attack.what;
        let mut fake = Fake::log_in(&site, &format!("mallory-{n}"));
        fake.join("lobby");
        let mut link = fake.link(alice);
        let mut pen = fake.pen(room("lobby"));
        link.send(fake.sealed(&[pen.write(what)]));
        link.wait_stored(&fake.author(), 1);
        for frame in (attack.frames)(&fake, bob, &mut pen) {
            link.send(frame);
        }
        let (reason, why) = link.wait_bye();
        drop(link);
        assert_eq!(reason, ByeReason::Misbehaved, "{what}: {why}");
        assert!(why.contains(attack.why), "{what}: {why}");
        let told = alice.error("peer_misbehaved");
        assert!(
            told.starts_with(&fake.user) && told.contains(attack.why),
            "{what}: {told}"
        );
        bob.say(&format!("after {what}"));
        alice.hear(&format!("after {what}"));
        // What was good before is good, and reaches all.
        alice.wait_version(2 * (n as u64 + 1));
        bob.wait_version(2 * (n as u64 + 1));
    }
    for peer in peers {
        peer.quit();
    }
    let log = site.log("alice", "#lobby");
    assert_eq!(log.lines().count(), 2 * attacks.len());
    assert!(!log.contains("\"text\":\"bad"), "{log}");
    assert_eq!(site.log("bob", "#lobby"), log);
    site.assert_sound("alice");
    site.assert_sound("bob");
}
