//! What was said in a conversation of the same name under other authorities, and was taken along by its user.
//!
//! The file [`EARLIER_FILE`] in the conversation's folder names those authorities. Their logs stay where they are. They are read for this user's
//! eyes alone: nothing of them is in the log of the present authority, so nobody is ever given it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    LogError, Needle,
    disk::{Disk, IoError},
    verify::verify,
};
use crate::node::{
    event::Line,
    types::{Author, Authority, Body, Decode, Entry, Lamport, UserName},
};

/// The file in a conversation's folder: an authority a line, the one that came first first.
pub const EARLIER_FILE: &str = "earlier";
/// How many authorities a conversation can have behind it.
pub const EARLIER_MAX: usize = 8;
/// That many lines are shorter.
const BYTES_MAX: usize = 1024;

/// The logs that come before a conversation's own, the oldest first.
#[derive(Debug, Clone)]
pub struct Earlier<D: Disk> {
    /// Where they are.
    pub disk: D,
    /// Their folders.
    pub folders: Vec<PathBuf>,
    /// What makes entries of bytes.
    pub decode: Decode,
}

/// What was found in earlier logs.
#[derive(Debug, Default)]
pub struct Told {
    /// The last ones, the oldest first.
    pub lines: Vec<Line>,
    /// There are more before them.
    pub more: bool,
    /// Why something of a log could not be read. What is before that in the file was read.
    pub damage: Vec<LogError>,
}

impl<D: Disk> Earlier<D> {
    /// The last `count` entries, or the last ones that contain `text`. Reads the logs from beginning to end and holds no more than `count`
    /// entries of one, so it is for a thread that may wait.
    pub fn last(&self, count: usize, text: Option<&str>) -> Told {
        let needle = text.map(Needle::new);
        let mut told = Told::default();
        for folder in self.folders.iter().rev() {
            let room = count - told.lines.len();
            if room == 0 {
                told.more = true;
                break;
            }
            let mut of = LastOf::new(room, needle.as_ref());
            let read = verify(&self.disk, folder, self.decode, |entry, _| of.take(entry));
            told.damage.extend(read.err());
            told.more |= of.more;
            told.lines.splice(0..0, of.lines());
        }
        told
    }
}

/// The last entries of one log in canonical order.
struct LastOf<'n> {
    room: usize,
    needle: Option<&'n Needle>,
    version: u64,
    users: BTreeMap<Author, UserName>,
    last: BTreeMap<(Lamport, Author), Entry>,
    more: bool,
}

impl<'n> LastOf<'n> {
    fn new(room: usize, needle: Option<&'n Needle>) -> Self {
        Self {
            room,
            needle,
            version: 0,
            users: BTreeMap::new(),
            last: BTreeMap::new(),
            more: false,
        }
    }

    fn take(&mut self, entry: Entry) {
        self.version += 1;
        if let Some(user) = &entry.user {
            self.users.insert(entry.author, user.clone());
        }
        let is_hit = match (self.needle, &entry.body) {
            (None, _) => true,
            (Some(needle), Body::Text(text)) => needle.is_in(text),
            (Some(_), Body::Unknown) => false,
        };
        if !is_hit {
            return;
        }
        self.last.insert((entry.lamport, entry.author), entry);
        if self.last.len() > self.room {
            self.last.pop_first();
            self.more = true;
        }
    }

    fn lines(self) -> Vec<Line> {
        let (users, version) = (self.users, self.version);
        let entries = self.last.into_values();
        // The decoder takes no first entry without its user.
        entries
            .filter_map(|entry| Some(Line::of(&entry, users.get(&entry.author)?.clone(), version)))
            .collect()
    }
}

/// The authorities that a conversation has behind it, the oldest first. Of a damaged file none: whoever looks after the folders tells.
///
/// # Errors
/// The disk refuses.
pub fn read_earlier<D: Disk>(disk: &D, folder: &Path) -> Result<Vec<Authority>, IoError> {
    let bytes = disk.read_small(&folder.join(EARLIER_FILE), BYTES_MAX)?;
    Ok(bytes.and_then(|bytes| parse(&bytes)).unwrap_or_default())
}

/// Keeps which authorities a conversation has behind it, the oldest first; durably. The folder must be there.
///
/// # Errors
/// The disk refuses.
pub fn write_earlier<D: Disk>(disk: &D, folder: &Path, authorities: &[Authority]) -> Result<(), IoError> {
    let path = folder.join(EARLIER_FILE);
    if authorities.is_empty() {
        disk.remove(&path)?;
        return disk.sync_folder(folder);
    }
    let lines: String = authorities.iter().map(|authority| format!("{authority}\n")).collect();
    disk.replace(&path, lines.as_bytes())
}

/// Whether what is in such a file can be read.
pub fn is_earlier(bytes: &[u8]) -> bool {
    parse(bytes).is_some()
}

fn parse(bytes: &[u8]) -> Option<Vec<Authority>> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= BYTES_MAX)?;
    let authorities: Vec<_> = text.lines().map(Authority::parse).collect::<Option<_>>()?;
    (!authorities.is_empty() && authorities.len() <= EARLIER_MAX).then_some(authorities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        DiskFile as _, Log, MemoryDisk,
        testing::{decode, entry, said},
    };

    const ONE: Authority = Authority([1; 32]);
    const OTHER: Authority = Authority([2; 32]);

    fn earlier(disk: &MemoryDisk, folders: &[&str]) -> Earlier<MemoryDisk> {
        Earlier {
            disk: disk.clone(),
            folders: folders.iter().map(PathBuf::from).collect(),
            decode,
        }
    }

    fn fill(disk: &MemoryDisk, folder: &str, entries: &[(u64, u64, &str)]) {
        disk.create_folder(Path::new(folder)).unwrap();
        let (mut log, _) = Log::open(disk.clone(), Path::new(folder), decode).unwrap();
        for (who, lamport, text) in entries {
            log.append(&[said(*who, 1, *lamport, text)]).unwrap();
        }
    }

    fn texts(told: &Told) -> Vec<&str> {
        told.lines.iter().filter_map(|line| line.text.as_deref()).collect()
    }

    #[test]
    fn the_last_entries_of_several_logs_come_in_the_order_of_the_logs_and_each_in_its_own() {
        let disk = MemoryDisk::new(1);
        fill(&disk, "/first", &[(1, 1, "a"), (2, 4, "d"), (3, 3, "c")]);
        fill(&disk, "/second", &[(4, 1, "e"), (5, 2, "f")]);
        let both = earlier(&disk, &["/first", "/second", "/none"]);
        let told = both.last(10, None);
        assert_eq!(
            (texts(&told), told.more, told.damage.len()),
            (vec!["a", "c", "d", "e", "f"], false, 0)
        );
        assert_eq!(told.lines[0].version, 3);
        let told = both.last(3, None);
        assert_eq!((texts(&told), told.more), (vec!["d", "e", "f"], true));
        let told = both.last(2, None);
        assert_eq!((texts(&told), told.more), (vec!["e", "f"], true));
        let told = both.last(3, Some("D"));
        assert_eq!((texts(&told), told.more), (vec!["d"], false));
    }

    #[test]
    fn what_is_before_damage_is_read_and_the_damage_is_told() {
        let disk = MemoryDisk::new(1);
        fill(&disk, "/first", &[(1, 1, "a"), (2, 2, "b"), (3, 3, "c")]);
        let file = disk.open(Path::new("/first/log")).unwrap().unwrap();
        let second = entry(1, 1, 1).bytes.len() as u64 + 60;
        file.write_at(second, &[0xff; 8]).unwrap();
        let told = earlier(&disk, &["/first"]).last(10, None);
        assert_eq!((texts(&told), told.damage.len()), (vec!["a"], 1));
    }

    #[test]
    fn the_file_names_authorities_and_nothing_else() {
        let (disk, folder) = (MemoryDisk::new(1), Path::new("/"));
        assert_eq!(read_earlier(&disk, folder).unwrap(), []);
        write_earlier(&disk, folder, &[ONE, OTHER]).unwrap();
        assert_eq!(read_earlier(&disk.kill(), folder).unwrap(), [ONE, OTHER]);
        let all = [ONE; EARLIER_MAX];
        write_earlier(&disk, folder, &all).unwrap();
        assert_eq!(read_earlier(&disk, folder).unwrap(), all);
        let line = format!("{ONE}\n");
        for bad in [
            String::new(),
            "SHA256:none\n".to_owned(),
            line.repeat(EARLIER_MAX + 1),
            format!("{line}\n{line}"),
        ] {
            assert!(!is_earlier(bad.as_bytes()), "{bad}");
            disk.replace(&folder.join(EARLIER_FILE), bad.as_bytes()).unwrap();
            assert_eq!(read_earlier(&disk, folder).unwrap(), []);
        }
        write_earlier(&disk, folder, &[]).unwrap();
        assert_eq!(disk.read_small(&folder.join(EARLIER_FILE), BYTES_MAX).unwrap(), None);
    }
}
