//! Names of users and rooms, and how certificates, registries and people write them.

use peerchat::node::{
    door::{Called, Door},
    private::Invitation,
    types::{Conversation, RoomName, UserName},
};
use peerchat_identity::{Fingerprint, san};
use peerchat_proto::{base32, names::NAME_CHARS_MAX};

use crate::{pens::user, within};

/// Reads a text as every kind of name.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    within(64 * 1024, 60, data.len(), || {
        if let Ok(name) = UserName::new(&text) {
            assert!(name.shown().chars().count() <= NAME_CHARS_MAX && name.key().chars().count() <= NAME_CHARS_MAX);
            let again = UserName::new(name.shown()).expect("a name stays one");
            assert_eq!((again.shown(), again.key()), (name.shown(), name.key()), "writing a name changes it");
            let folded = UserName::new(name.key()).expect("a folded name is one");
            assert_eq!((folded.shown(), folded.key()), (name.key(), name.key()), "folding twice is folding once");
            assert_eq!(san::user(&san::user_uri(&name)).map(|user| user.shown().to_owned()).as_deref(), Some(name.shown()));
            let me = user("me");
            let direct = Conversation::direct(&me, &name);
            let folder = peerchat::log::folder_of(&direct, &me);
            assert_eq!(folder.components().count(), 2, "{folder:?} is one folder");
        }
        for read in [RoomName::new, RoomName::parse, RoomName::at_registry] {
            if let Ok(room) = read(&text) {
                assert_eq!(read(room.as_str()).as_ref(), Ok(&room), "writing a name changes it");
                assert!(!room.label().is_empty());
                let folder = peerchat::log::folder_of(&Conversation::Room(room), &user("me"));
                assert_eq!(folder.components().count(), 2, "{folder:?} is one folder");
            }
        }
        if let Some(device) = san::device(&text) {
            assert_eq!(san::dns_name(&device), text);
        }
        if let Some(user) = san::user(&text) {
            assert_eq!(san::user_uri(&user), text);
        }
        if let Some(node) = san::node(&text) {
            assert_eq!(san::node_name(node), text);
        }
        if let Some(id) = base32::decode::<16>(&text) {
            assert_eq!(base32::encode(&id), text);
        }
        if let Ok(fingerprint) = text.parse::<Fingerprint>() {
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        if let Ok(invitation) = Invitation::read(&text) {
            let written = invitation.text();
            assert_eq!(Invitation::read(&written).as_ref(), Ok(&invitation));
            assert!(!format!("{invitation:?}").contains(&written[written.len() - 20..]), "a secret is shown");
        }
        let _door = (Door::read(&text), Called::read(&text));
    });
}

/// Each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let invitation = Invitation::new(&RoomName::new("plans").expect("a name"), [3; 16].into());
    let names = ["alice", "Zoë", "大厅", "ΑΙΣ", "ǅungla", "ᾳ\u{345}", "straße", "👩‍💻", "a.b-c_d+e", ".."].map(str::to_owned);
    let others = [
        invitation.text().to_string(),
        invitation.room().to_string(),
        san::dns_name(&[7; 32]),
        san::user_uri(&user("Zoë")),
        san::node_name(3),
        format!("SHA256:{}A", "b".repeat(42)),
        format!(":{}", base32::encode(&[5; 32])),
    ];
    names.into_iter().chain(others).map(String::into_bytes).collect()
}
