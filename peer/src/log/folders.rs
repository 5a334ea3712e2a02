//! Which folder a conversation has. Pure.
//!
//! The folder is named like the conversation where every system takes that name for a file, and by a hash otherwise; so the file
//! [`NAME_FILE`] in it has the name, and only that is ever read back.

use std::path::PathBuf;

use crate::node::types::{Conversation, UserName};

/// The file in a conversation's folder with its name: of the room, or of the other user; in UTF-8 with a line end.
pub const NAME_FILE: &str = "name";

/// The folder with one folder per room.
pub(super) const ROOMS: &str = "rooms";
/// The folder with one folder per direct conversation.
pub(super) const DIRECT: &str = "direct";

/// The longest folder name in bytes. File systems take 255; this leaves room for what tools append.
const FOLDER_NAME_BYTES_MAX: usize = 200;

/// What no folder on Windows can be called, whatever follows after a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The folder of a conversation of `own`, below his data folder: `rooms/lobby`, `direct/bob`.
pub fn folder_of(conversation: &Conversation, own: &UserName) -> PathBuf {
    let (kind, name) = name_of(conversation, own);
    [kind, &folder_name(name)].iter().collect()
}

/// The kind of a conversation and its name, as [`NAME_FILE`] has it.
pub(super) fn name_of<'a>(conversation: &'a Conversation, own: &UserName) -> (&'static str, &'a str) {
    match conversation {
        Conversation::Room(room) => (ROOMS, room.as_str()),
        Conversation::Direct(pair) => (DIRECT, pair.other(own).key()),
    }
}

/// The name of a folder for a name: the same where every system takes it for a file's, a hash otherwise.
pub fn folder_name(name: &str) -> String {
    if is_safe(name) {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("~{}", &hash[..32])
}

/// Whether a name can be that of a folder on Linux, macOS and Windows and is not taken for another one.
fn is_safe(name: &str) -> bool {
    name.len() <= FOLDER_NAME_BYTES_MAX
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !is_device(name)
        && name.chars().all(is_safe_char)
}

fn is_safe_char(c: char) -> bool {
    match c {
        'a'..='z' | '0'..='9' | '-' | '_' | '+' | '.' => true,
        c if c.is_ascii() || c.is_control() => false,
        // A file system that ignores case must not take one such name for another, however it folds.
        c => c.to_uppercase().flat_map(char::to_lowercase).eq([c]),
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let mut chars = stem.chars();
    let number = chars.next_back();
    match number {
        Some('0'..='9' | '¹' | '²' | '³') => DEVICES[4..].contains(&chars.as_str()),
        _ => DEVICES[..4].contains(&stem),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::node::types::RoomName;

    fn folder(room: &str) -> String {
        let own = UserName::new("me").unwrap();
        let folder = folder_of(&Conversation::Room(RoomName::new(room).unwrap()), &own);
        folder.to_str().unwrap().to_owned()
    }

    #[test]
    fn plain_names_stay_readable() {
        for name in [
            "lobby",
            "a.b-c_d+e",
            "大厅",
            "🦀",
            "zoë",
            "console",
            "com",
            "com10",
            "lpt",
        ] {
            assert_eq!(folder(name), format!("rooms/{name}"));
        }
        assert_eq!(folder("LOBBY"), "rooms/lobby");
    }

    #[test]
    fn other_names_are_hashed() {
        let long = "🦀".repeat(64);
        for name in [
            "CON",
            "con.txt",
            "nul",
            "com1",
            "lpt¹.x",
            "back\\slash",
            "...",
            ".hidden",
            "dot.",
            "~a",
            "a*b",
            "a?",
            "<",
            "a|b",
            "\"",
            "ı",
            &long,
        ] {
            let folder = folder(name);
            let hash = folder.strip_prefix("rooms/~").unwrap();
            assert_eq!(hash.len(), 32, "{name}");
        }
    }

    #[test]
    fn a_direct_conversation_is_named_after_the_other() {
        let (alice, bob) = (UserName::new("Alice").unwrap(), UserName::new("Bob").unwrap());
        let conversation = Conversation::direct(&alice, &bob);
        assert_eq!(folder_of(&conversation, &alice).to_str(), Some("direct/bob"));
        assert_eq!(folder_of(&conversation, &bob).to_str(), Some("direct/alice"));
    }

    proptest! {
        #[test]
        fn every_name_has_a_folder_of_its_own(names in prop::collection::vec("\\PC{1,4}|[a-c.~\\\\A]{1,3}", 2..40)) {
            let mut folders = BTreeMap::new();
            for room in names.iter().filter_map(|name| RoomName::new(name).ok()) {
                let name = folder_name(room.as_str());
                prop_assert!(name.len() <= FOLDER_NAME_BYTES_MAX && !name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']));
                // As a file system that ignores case sees it.
                if let Some(other) = folders.insert(name.to_lowercase(), room.clone()) {
                    prop_assert_eq!(other, room);
                }
            }
        }
    }
}
