//! What a peer remembers for its next start, beside its logs: the rooms that the user is in, and which conversation was current.

pub mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    log::{Disk, IoError},
    node::{
        limits::STAMP_MAX,
        memberships::{Membership, Memberships},
        types::{Conversation, RoomName, UserName},
    },
};

/// The name of the file.
pub const FILE: &str = "state.json";
/// Many more rooms than anybody is in.
const BYTES_MAX: usize = 1024 * 1024;

/// What a peer remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Those that the user is in.
    rooms: Vec<String>,
    /// How often that has changed, of each room that he is in or was. Earlier versions did not count.
    stamps: BTreeMap<String, u64>,
    current: Option<String>,
}

impl State {
    /// Reads what the last run left. Nothing is lost with a file that is missing or damaged but the comfort of being in the same
    /// rooms again, so that is no error.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn load<D: Disk>(disk: &D, folder: &Path) -> Result<Self, IoError> {
        let bytes = disk.read_small(&folder.join(FILE), BYTES_MAX)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// What the file is to have.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings can be written as JSON")
    }

    /// The rooms that the user is in.
    pub fn rooms(&self) -> Vec<RoomName> {
        self.rooms
            .iter()
            .filter_map(|name| RoomName::parse(name).ok())
            .collect()
    }

    /// In which rooms the user is, and which he has left.
    pub fn memberships(&self) -> Memberships {
        let rooms: BTreeSet<&String> = self.rooms.iter().collect();
        let mut known = Memberships::default();
        // Those that he is in come first, so that none of them lacks a place.
        let left = self.stamps.keys().filter(|room| !rooms.contains(room));
        for (name, is_in) in rooms
            .iter()
            .map(|name| (*name, true))
            .chain(left.map(|name| (name, false)))
        {
            if let Ok(room) = RoomName::parse(name) {
                let stamp = self.stamps.get(name).copied().unwrap_or(1).min(STAMP_MAX);
                known.take(room, Membership { stamp, is_in });
            }
        }
        known
    }

    /// Sets in which rooms the user is, and which he has left.
    pub fn set_memberships(&mut self, known: &Memberships) {
        self.rooms = known.rooms().map(|room| room.as_str().to_owned()).collect();
        let stamps = known.all().map(|(room, known)| (room.as_str().to_owned(), known.stamp));
        self.stamps = stamps.collect();
    }

    /// Whether the user is in a conversation of which there is a log. A direct one is open to its two users always.
    pub fn is_in(&self, conversation: &Conversation) -> bool {
        match conversation {
            Conversation::Room(room) => self.rooms.iter().any(|name| name == room.as_str()),
            Conversation::Direct(_) => true,
        }
    }

    /// The conversation that was current.
    pub fn current(&self, me: &UserName) -> Option<Conversation> {
        let title = self.current.as_deref()?;
        match title.split_at_checked(1)? {
            ("#", name) => Some(Conversation::Room(RoomName::parse(name).ok()?)),
            ("@", name) => Some(Conversation::direct(me, &UserName::new(name).ok()?)),
            _ => None,
        }
    }

    /// Sets the current conversation; false where it was that already.
    pub fn set_current(&mut self, conversation: &Conversation, me: &UserName) -> bool {
        let title = conversation.title(me);
        let new = self.current.as_deref() != Some(title.as_str());
        self.current = Some(title);
        new
    }
}

/// Whether what is in the file can be read.
pub fn is_sound(bytes: &[u8]) -> bool {
    bytes.len() <= BYTES_MAX && serde_json::from_slice::<State>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryDisk;

    #[test]
    fn what_is_saved_is_loaded_and_a_damaged_file_is_an_empty_one() {
        let (disk, folder) = (MemoryDisk::new(1), Path::new("/"));
        let (me, bob) = (UserName::new("me").unwrap(), UserName::new("bob").unwrap());
        assert_eq!(State::load(&disk, folder).unwrap(), State::default());
        let mut state = State::default();
        let mut known = Memberships::default();
        known.set(&RoomName::new("大厅").unwrap(), true);
        for is_in in [true, false] {
            known.set(&RoomName::new("left").unwrap(), is_in);
        }
        state.set_memberships(&known);
        assert!(state.set_current(&Conversation::direct(&me, &bob), &me));
        assert!(!state.set_current(&Conversation::direct(&me, &bob), &me));
        disk.replace(&folder.join(FILE), &state.bytes()).unwrap();
        let loaded = State::load(&disk, folder).unwrap();
        assert_eq!(loaded, state);
        assert_eq!(loaded.memberships(), known);
        assert_eq!(loaded.current(&me), Some(Conversation::direct(&me, &bob)));
        let is_in = |name| loaded.is_in(&Conversation::Room(RoomName::new(name).unwrap()));
        assert!(is_in("大厅") && !is_in("left") && loaded.is_in(&Conversation::direct(&me, &bob)));
        disk.replace(&folder.join(FILE), b"{\"rooms\":").unwrap();
        assert_eq!(State::load(&disk, folder).unwrap(), State::default());
    }

    #[test]
    fn a_file_of_an_earlier_version_has_rooms_without_stamps() {
        let (disk, folder) = (MemoryDisk::new(1), Path::new("/"));
        disk.replace(&folder.join(FILE), br#"{"rooms":["lobby"],"current":"@bob"}"#)
            .unwrap();
        let known = State::load(&disk, folder).unwrap().memberships();
        let all: Vec<_> = known
            .all()
            .map(|(room, known)| (room.as_str(), known.stamp, known.is_in))
            .collect();
        assert_eq!(all, [("lobby", 1, true)]);
    }
}
