//! What is wrong with the folders of conversations as a whole: whose they are, and what lies in them that is no log's file.
//!
//! A folder is where the conversation's name says, its file [`NAME_FILE`] has that name, and every entry of its log is of that conversation. Two of
//! these tell what the third one was.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{
    INDEX_FILE, LOG_FILE, SEALS_FILE,
    disk::{Disk, DiskFile, IoError, beside},
    folders::{DIRECT, NAME_FILE, ROOMS, folder_of, name_of},
    forked,
    format::{HEADER_BYTES, Header, Kind, decode_header},
    resume,
    scan::{Found, Frames},
    shelf::{NAME_BYTES_MAX, conversation, conversation_named},
};
use crate::node::types::{Conversation, Decode, UserName};

/// How many frames at the beginning of a log are looked at for one that tells whose it is.
const FRAMES_MAX: usize = 16;

/// What a folder's name ends with on its way. One that a crash leaves there is in its place for nobody, so the next start moves it on.
const MOVED: &str = ".moved";

/// A folder that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// The folder.
    pub folder: PathBuf,
    /// What is wrong.
    pub kind: MisplacedKind,
}

/// What is wrong with a conversation's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MisplacedKind {
    /// The file with the name is missing or has another one; what else is there tells that it is this conversation's.
    Name(Conversation),
    /// All of it is of another conversation, whose folder is free, or is itself another one's.
    Elsewhere(Conversation),
    /// All of it is of another conversation, which has its own folder: a copy.
    Copy(Conversation),
    /// Nothing tells what it is.
    Unknown,
}

/// Looks at all folders of conversations below `data`, and changes nothing.
///
/// # Errors
/// The disk refuses.
pub fn misplaced<D: Disk>(disk: &D, data: &Path, own: &UserName, decode: Decode) -> Result<Vec<Misplaced>, IoError> {
    let mut found = Vec::new();
    for kind in [ROOMS, DIRECT] {
        for name in disk.list(&data.join(kind))? {
            let folder = data.join(kind).join(&name);
            // What lies beside the folders is nobody's.
            if !disk.is_folder(&folder) || name.contains(".set-aside-") {
                continue;
            }
            let place = |conversation: &Conversation| data.join(folder_of(conversation, own));
            let named = disk
                .read_small(&folder.join(NAME_FILE), NAME_BYTES_MAX)
                .unwrap_or_default()
                .and_then(|bytes| conversation(kind, &bytes, own));
            if named.as_ref().is_some_and(|named| place(named) == folder) {
                continue;
            }
            let logged = of_log(disk, &folder, decode)?.filter(|logged| name_of(logged, own).0 == kind);
            let by_folder = conversation_named(kind, &name, own).filter(|by_folder| place(by_folder) == folder);
            let by_log_here = logged.as_ref().filter(|logged| place(logged) == folder).cloned();
            let has_nothing_else = logged.is_none() && named.is_none();
            let kind = match (by_log_here, by_folder, logged.or(named)) {
                (Some(this), ..) => MisplacedKind::Name(this),
                (None, Some(this), _) if has_nothing_else => MisplacedKind::Name(this),
                (None, _, Some(other)) if !disk.is_folder(&place(&other)) => MisplacedKind::Elsewhere(other),
                (None, _, Some(other)) => MisplacedKind::Copy(other),
                (None, _, None) => MisplacedKind::Unknown,
            };
            found.push(Misplaced { folder, kind });
        }
    }
    // Two that were exchanged are each in the other one's place.
    let wrong: Vec<PathBuf> = found
        .iter()
        .filter(|one| !matches!(one.kind, MisplacedKind::Name(_)))
        .map(|one| one.folder.clone())
        .collect();
    for one in &mut found {
        if let MisplacedKind::Copy(other) = &one.kind
            && wrong.contains(&data.join(folder_of(other, own)))
        {
            one.kind = MisplacedKind::Elsewhere(other.clone());
        }
    }
    Ok(found)
}

/// Puts folders right as far as what they are is known.
///
/// # Errors
/// The disk refuses.
pub fn put_in_place<D: Disk>(disk: &D, data: &Path, own: &UserName, found: &[Misplaced]) -> Result<(), IoError> {
    let mut moved = Vec::new();
    for Misplaced { folder, kind } in found {
        match kind {
            MisplacedKind::Name(conversation) => write_name(disk, folder, conversation, own)?,
            MisplacedKind::Elsewhere(conversation) => {
                // Out of the way first: its place may be that of the next one.
                let aside = beside(folder, MOVED);
                disk.rename(folder, &aside)?;
                moved.push((aside, conversation));
            }
            MisplacedKind::Copy(_) | MisplacedKind::Unknown => {}
        }
    }
    for (aside, conversation) in moved {
        let folder = data.join(folder_of(conversation, own));
        if !disk.is_folder(&folder) {
            disk.rename(&aside, &folder)?;
            write_name(disk, &folder, conversation, own)?;
        }
    }
    Ok(())
}

fn write_name<D: Disk>(disk: &D, folder: &Path, conversation: &Conversation, own: &UserName) -> Result<(), IoError> {
    let (_, name) = name_of(conversation, own);
    disk.replace(&folder.join(NAME_FILE), format!("{name}\n").as_bytes())
}

/// The conversation of the first entries of a log.
fn of_log<D: Disk>(disk: &D, folder: &Path, decode: Decode) -> Result<Option<Conversation>, IoError> {
    let Ok(Some(file)) = disk.open(&folder.join(LOG_FILE)) else {
        return Ok(None);
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    let (Header::Good(life) | Header::Half(life)) = decode_header(Kind::Log, &header[..read]) else {
        return Ok(None);
    };
    let mut frames = Frames::new(&file, life, file.len()?);
    for _ in 0..FRAMES_MAX {
        match frames.next()? {
            Some(Found::Frame { entry, .. }) => {
                if let Ok(entry) = decode(Bytes::copy_from_slice(entry)) {
                    return Ok(Some(entry.conversation.clone()));
                }
            }
            Some(Found::Bad { .. }) => {}
            None => break,
        }
    }
    Ok(None)
}

/// What of the small files in a conversation's folder cannot be read as what it should be: each with what is wrong, and whether anything is lost
/// with it. Changes nothing.
pub fn files_at_fault<D: Disk>(disk: &D, folder: &Path) -> Vec<(&'static str, &'static str, bool)> {
    let header = |name: &str, kind: Kind| {
        let bytes = disk.read_small(&folder.join(name), HEADER_BYTES).ok().flatten();
        bytes.is_some_and(|bytes| matches!(decode_header(kind, &bytes), Header::Bad))
    };
    let mut faults = Vec::new();
    if header(INDEX_FILE, Kind::Index) {
        faults.push((INDEX_FILE, "it has no header; it is made anew", false));
    }
    if header(SEALS_FILE, Kind::Seals) {
        faults.push((SEALS_FILE, "it has no header", true));
    }
    if resume::is_damaged(disk, folder) {
        let what = "it is damaged; you go on as a new author, and nothing is lost";
        faults.push((resume::FILE, what, false));
    }
    if forked::is_damaged(disk, folder) {
        faults.push((forked::FILE, "it is damaged", true));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        log::{RealDisk, prepare, shelved, testing::decode},
        node::types::RoomName,
    };

    #[test]
    fn folders_that_were_exchanged_are_put_right_whenever_a_start_ends_in_between() {
        let own = UserName::new("me").unwrap();
        let rooms = ["lobby", "other"].map(|name| Conversation::Room(RoomName::new(name).unwrap()));
        // Each is somewhere else when the start ends: in its own place, in the other one's, or on the way.
        let [of_lobby, of_other] = [["lobby", "other"], ["other", "lobby"]]
            .map(|[own, others]| [own.to_owned(), others.to_owned(), format!("{others}{MOVED}")]);
        for (a, b) in of_lobby.iter().flat_map(|a| of_other.iter().map(move |b| (a, b))) {
            if a == b {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path();
            for (room, place) in rooms.iter().zip([a, b]) {
                let made = prepare(&RealDisk, data, &own, room).unwrap();
                fs::rename(made, data.join(place)).unwrap();
            }
            for place in [a, b] {
                fs::rename(data.join(place), data.join(ROOMS).join(place)).unwrap();
            }
            for _ in 0..2 {
                let found = misplaced(&RealDisk, data, &own, decode).unwrap();
                put_in_place(&RealDisk, data, &own, &found).unwrap();
            }
            let found = shelved(&RealDisk, data, &own).unwrap();
            assert!(
                found.iter().map(|one| &one.conversation).eq(&rooms),
                "{a}, {b}: {found:?}"
            );
            assert_eq!(misplaced(&RealDisk, data, &own, decode).unwrap(), [], "{a}, {b}");
        }
    }
}
