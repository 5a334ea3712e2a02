//! The log of a conversation that begins while the peer runs.
//!
//! Nobody waits for the disk when it is made: folder, name and files are there at once, and survive the end of the process. What an entry needs to
//! be durable is synced with the first sync of its log, on the thread that runs that: the file with the entries, the one with the name, and the
//! folders above them. Until that has ended nothing of the conversation is durable, nothing was acknowledged as such, and a loss of power may take
//! all of it or leave any part. So that such a part is not taken for damage, the file [`BEGUN_FILE`] lies in the folder from before the first write
//! until after that sync: a log without a header beside it was never synced and is made anew.

use std::path::{Path, PathBuf};

use super::{
    INDEX_FILE, LOG_FILE, Log, LogError,
    disk::{Disk, DiskFile, IoError, folder_of},
    folders::NAME_FILE,
    format::{HEADER_BYTES, Kind, Life, encode_header},
    index::Index,
    salvage,
};
use crate::node::types::Decode;

/// The file that lies beside a log that was never synced.
pub(super) const BEGUN_FILE: &str = "begun";
/// How many folders are above a log that is made, up to the user's: those of the conversation and of its kind, and the user's itself.
const FOLDERS: usize = 3;

/// What is to be synced with a log for the first time.
#[derive(Debug, Clone)]
pub(super) struct Birth<D: Disk> {
    disk: D,
    folder: PathBuf,
}

/// Makes durable that the folder of a conversation is there, with its name. Blocks.
///
/// # Errors
/// The disk refuses.
pub fn sync_place<D: Disk>(disk: &D, folder: &Path) -> Result<(), IoError> {
    Birth::new(disk, folder).sync()
}

impl<D: Disk> Birth<D> {
    /// Of a log that is made.
    pub(super) fn new(disk: &D, folder: &Path) -> Self {
        Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
        }
    }

    /// Of a log that was begun and never synced, as the file beside it says.
    pub(super) fn of(disk: &D, folder: &Path) -> Result<Option<Self>, IoError> {
        let begun = disk.open(&folder.join(BEGUN_FILE))?;
        Ok(begun.map(|_| Self::new(disk, folder)))
    }

    /// Makes durable that the log is there. Blocks.
    pub(super) fn sync(&self) -> Result<(), IoError> {
        if let Some(name) = self.disk.open(&self.folder.join(NAME_FILE))? {
            name.sync()?;
        }
        let mut folder = self.folder.as_path();
        for _ in 0..FOLDERS {
            self.disk.sync_folder(folder)?;
            folder = folder_of(folder);
        }
        Ok(())
    }

    /// It is durable. Where a loss of power takes this back, it is done again.
    pub(super) fn end(self) -> Result<(), IoError> {
        self.disk.remove(&self.folder.join(BEGUN_FILE))
    }
}

impl<D: Disk> Log<D> {
    /// Begins the log of a conversation in a folder that is there, without waiting for the disk; none where anything of a log is there already,
    /// which [`Log::open`] must look at.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(disk: D, folder: &Path, decode: Decode) -> Result<Option<Self>, LogError> {
        let there = disk.list(folder)?;
        let is_of_log = |name: &String| {
            [LOG_FILE, INDEX_FILE, BEGUN_FILE].contains(&name.as_str()) || name.starts_with(salvage::PREFIX)
        };
        if there.iter().any(is_of_log) {
            return Ok(None);
        }
        disk.create(&folder.join(BEGUN_FILE))?;
        let life = Life(disk.random());
        let file = disk.create(&folder.join(LOG_FILE))?;
        file.write_at(0, &encode_header(Kind::Log, life))?;
        let index_file = disk.create(&folder.join(INDEX_FILE))?;
        index_file.write_loose_at(0, &encode_header(Kind::Index, life))?;
        let birth = Birth::new(&disk, folder);
        Ok(Some(Self {
            disk,
            folder: folder.to_owned(),
            decode,
            life,
            file,
            index_file,
            index: Index::default(),
            length: HEADER_BYTES as u64,
            frames: Vec::new(),
            durable: 0,
            syncing: None,
            birth: Some(birth),
            permit: false,
            failed: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{
            MemoryDisk,
            memory::Fault,
            prepare, shelved,
            testing::{decode, entry},
        },
        node::types::{Conversation, RoomName, UserName},
    };

    const ROOM: &str = "/rooms/lobby";

    /// Begins a log and appends to it; syncs it, if the disk does not crash before. Whether it is durable.
    fn begin(disk: &MemoryDisk) -> Result<bool, LogError> {
        let (data, own) = (Path::new("/"), UserName::new("me").unwrap());
        let lobby = Conversation::Room(RoomName::new("lobby").unwrap());
        let folder = prepare(disk, data, &own, &lobby)?;
        let mut log = match Log::begin(disk.clone(), &folder, decode)? {
            Some(log) => log,
            None => Log::open(disk.clone(), &folder, decode)?.0,
        };
        for seq in log.version() + 1..=3 {
            log.append(&[entry(1, seq, seq)])?;
        }
        log.sync()?;
        Ok(true)
    }

    #[test]
    fn a_log_that_begins_waits_for_no_disk_until_its_first_sync() {
        let disk = MemoryDisk::new(1);
        let data = Path::new("/");
        let lobby = Conversation::Room(RoomName::new("lobby").unwrap());
        let folder = prepare(&disk, data, &UserName::new("me").unwrap(), &lobby).unwrap();
        let mut log = Log::begin(disk.clone(), &folder, decode).unwrap().unwrap();
        log.append(&[entry(1, 1, 1)]).unwrap();
        assert_eq!(disk.syncs(), 0);
        assert!(log.durable_heights().0.is_empty());
        log.sync().unwrap();
        assert!(disk.syncs() <= 5, "{}", disk.syncs());
        assert!(Log::begin(disk, &folder, decode).unwrap().is_none(), "it is there");
    }

    #[test]
    fn a_log_that_began_on_a_full_disk_is_no_damage_when_there_is_room_again() {
        for capacity in 0..400 {
            let disk = MemoryDisk::new(capacity);
            disk.set_capacity(Some(capacity));
            let is_whole = begin(&disk).is_ok();
            disk.set_capacity(None);
            if shelved(&disk, Path::new("/"), &UserName::new("me").unwrap())
                .unwrap()
                .is_empty()
            {
                assert!(!is_whole);
                continue;
            }
            let (_, opened) = Log::open(disk.clone(), Path::new(ROOM), decode).unwrap();
            assert!(opened.damage.is_empty(), "{capacity}: {:?}", opened.damage);
            assert!(begin(&disk).unwrap());
        }
    }

    #[test]
    fn whatever_a_crash_leaves_of_a_log_that_began_is_no_damage_and_what_is_durable_stays() {
        let whole = MemoryDisk::new(0);
        begin(&whole).unwrap();
        for at in 0..whole.operations() + 1 {
            for seed in 0..20 {
                let disk = MemoryDisk::new(seed);
                disk.fail_at(at, Fault::Crash);
                let is_durable = begin(&disk).unwrap_or(false);
                for left in [disk.kill(), disk.power_loss()] {
                    let own = UserName::new("me").unwrap();
                    let found = shelved(&left, Path::new("/"), &own).unwrap();
                    if found.is_empty() {
                        assert!(!is_durable, "{at} {seed}");
                    } else {
                        let (log, opened) = Log::open(left.clone(), Path::new(ROOM), decode).unwrap();
                        let is_header = |damage: &super::super::Damage| damage.kind == super::super::DamageKind::Header;
                        assert!(!opened.damage.iter().any(is_header), "{at} {seed}: {:?}", opened.damage);
                        assert!(!is_durable || log.version() == 3, "{at} {seed}");
                    }
                    // And it goes on from there, durably.
                    assert!(begin(&left).unwrap(), "{at} {seed}");
                    let (log, _) = Log::open(left.power_loss(), Path::new(ROOM), decode).unwrap();
                    assert_eq!(log.version(), 3, "{at} {seed}");
                }
            }
        }
    }
}
