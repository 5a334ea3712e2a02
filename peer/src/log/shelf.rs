//! The folders of all conversations on disk.

use std::path::{Path, PathBuf};

use super::{
    disk::{Disk, IoError},
    folders::{DIRECT, NAME_FILE, ROOMS, folder_of, name_of},
};
use crate::node::types::{Conversation, RoomName, UserName};

/// A name has 64 characters of at most four bytes; a longer file is none of ours.
pub(super) const NAME_BYTES_MAX: usize = 512;

/// A conversation that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// Which.
    pub conversation: Conversation,
    /// Its folder.
    pub folder: PathBuf,
}

/// Makes the folder of a conversation below `data`, with the file that tells its name. `data` must be there. Nothing of it is durable before the
/// first sync of a log that begins there, see [`Log::begin`](super::Log::begin).
///
/// # Errors
/// The disk refuses.
pub fn prepare<D: Disk>(
    disk: &D,
    data: &Path,
    own: &UserName,
    conversation: &Conversation,
) -> Result<PathBuf, IoError> {
    let folder = data.join(folder_of(conversation, own));
    let (kind, name) = name_of(conversation, own);
    let name_file = folder.join(NAME_FILE);
    let content = format!("{name}\n");
    if disk.read_small(&name_file, NAME_BYTES_MAX)?.as_deref() == Some(content.as_bytes()) {
        return Ok(folder);
    }
    disk.make_folder(&data.join(kind))?;
    disk.make_folder(&folder)?;
    disk.put(&name_file, content.as_bytes())?;
    Ok(folder)
}

/// The conversations below `data`, sorted. A folder whose name file is missing or tells of another folder is passed over.
///
/// # Errors
/// The disk refuses.
pub fn shelved<D: Disk>(disk: &D, data: &Path, own: &UserName) -> Result<Vec<Shelved>, IoError> {
    let mut found = Vec::new();
    for kind in [ROOMS, DIRECT] {
        for folder_name in disk.list(&data.join(kind))? {
            let folder = data.join(kind).join(&folder_name);
            // What cannot be read there is for who looks after the folders.
            let Ok(Some(bytes)) = disk.read_small(&folder.join(NAME_FILE), NAME_BYTES_MAX) else {
                continue;
            };
            let Some(conversation) = conversation(kind, &bytes, own) else {
                continue;
            };
            // A copy that a user made beside the original has the same name file.
            if data.join(folder_of(&conversation, own)) == folder {
                found.push(Shelved { conversation, folder });
            }
        }
    }
    found.sort_by(|a, b| a.conversation.cmp(&b.conversation));
    Ok(found)
}

/// The conversation that a file with a name tells of.
pub(super) fn conversation(kind: &str, name: &[u8], own: &UserName) -> Option<Conversation> {
    conversation_named(kind, std::str::from_utf8(name).ok()?.trim_end_matches('\n'), own)
}

pub(super) fn conversation_named(kind: &str, name: &str, own: &UserName) -> Option<Conversation> {
    match kind {
        ROOMS => Some(Conversation::Room(RoomName::parse(name).ok()?)),
        _ => Some(Conversation::direct(own, &UserName::new(name).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::MemoryDisk;

    #[test]
    fn what_was_prepared_is_found_again() {
        let (disk, data, own) = (MemoryDisk::new(1), Path::new("/"), UserName::new("me").unwrap());
        let names = ["lobby", "CON", "back\\slash", "大厅", "...", "~x"];
        let mut all: Vec<Conversation> = names
            .iter()
            .map(|name| Conversation::Room(RoomName::new(name).unwrap()))
            .chain([Conversation::direct(&own, &UserName::new("Bob").unwrap())])
            .chain([Conversation::direct(&own, &own)])
            .collect();
        all.sort();
        for conversation in all.iter().chain(&all) {
            prepare(&disk, data, &own, conversation).unwrap();
        }
        disk.create_folder(Path::new("/rooms/copy")).unwrap();
        disk.replace(Path::new("/rooms/copy/name"), b"lobby\n").unwrap();
        let found = shelved(&disk.kill(), data, &own).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|shelved| shelved.conversation.clone())
                .collect::<Vec<_>>(),
            all
        );
        assert!(shelved(&MemoryDisk::new(1), data, &own).unwrap().is_empty());
    }
}
