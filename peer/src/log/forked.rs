//! The authors of a conversation who contradict themselves. What others write may name entries of theirs that never come here, so
//! for these the rule that causes come first does not hold.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use super::{
    Log, LogError,
    disk::{Disk, IoError},
};
use crate::node::{
    limits::FORKED_MAX,
    types::{Author, DeviceId},
};

pub(super) const FILE: &str = "forked";
/// Device and incarnation in hexadecimal digits, a space between them, and a line end.
const LINE_BYTES: usize = 64 + 1 + 16 + 1;

impl<D: Disk> Log<D> {
    /// An author contradicts himself: from now on entries are taken that name what he wrote after what is here. That there are not
    /// more than [`FORKED_MAX`] is for the caller to see to, who must not take what the log refuses.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn fork(&mut self, author: Author) -> Result<(), LogError> {
        if !self.index.forked.insert(author) {
            return Ok(());
        }
        let mut text = String::new();
        for Author { device, incarnation } in &self.index.forked {
            // Writing to a string does not fail.
            let _written = writeln!(text, "{device} {incarnation:016x}");
        }
        self.disk.replace(&self.folder.join(FILE), text.as_bytes())?;
        Ok(())
    }

    /// The authors who contradict themselves.
    pub fn forked(&self) -> &BTreeSet<Author> {
        &self.index.forked
    }
}

/// The authors who contradict themselves, by what is in a log's folder. A line that is none names nobody.
///
/// # Errors
/// The disk refuses.
pub fn read_forked<D: Disk>(disk: &D, folder: &Path) -> Result<BTreeSet<Author>, IoError> {
    let bytes = disk.read_small(&folder.join(FILE), FORKED_MAX * LINE_BYTES)?;
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    Ok(text.lines().filter_map(author).take(FORKED_MAX).collect())
}

/// Whether a line of the file names nobody.
pub(super) fn is_damaged<D: Disk>(disk: &D, folder: &Path) -> bool {
    let Ok(Some(bytes)) = disk.read_small(&folder.join(FILE), FORKED_MAX * LINE_BYTES) else {
        return false;
    };
    std::str::from_utf8(&bytes).map_or(true, |text| {
        text.is_empty() || text.lines().any(|line| author(line).is_none())
    })
}

fn author(line: &str) -> Option<Author> {
    let (device, incarnation) = line.split_once(' ')?;
    author_of(device, incarnation)
}

/// The author whose device and incarnation these hexadecimal digits are.
pub(super) fn author_of(device: &str, incarnation: &str) -> Option<Author> {
    Some(Author {
        device: DeviceId::from_hex(device)?,
        incarnation: u64::from_str_radix(incarnation, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        MemoryDisk,
        testing::{answer, author, decode, entry, folder},
        verify,
    };

    #[test]
    fn what_names_entries_of_one_who_contradicts_himself_is_kept_without_them() {
        let disk = MemoryDisk::new(1);
        let open = || Log::open(disk.clone(), folder(), decode).unwrap().0;
        let mut log = open();
        log.append(&[entry(1, 1, 1)]).unwrap();
        let after = answer(2, 1, 9, (1, 4));
        assert!(log.append(std::slice::from_ref(&after)).is_err());
        log.fork(author(1)).unwrap();
        log.append(&[after]).unwrap();
        log.close(None).unwrap();
        let log = open();
        assert_eq!((log.version(), log.forked()), (2, &[author(1)].into()));
        assert_eq!(verify(&disk, folder(), decode, |_, _| {}).unwrap().heights.version(), 2);
    }

    #[test]
    fn lines_that_are_none_name_nobody() {
        let good = format!("{} 00000000000000ff", "ab".repeat(32));
        assert_eq!(super::author(&good).unwrap().incarnation, 255);
        let long = "é".repeat(32);
        for bad in [
            "",
            " ",
            "ab 1",
            &"ab".repeat(32),
            &good[1..],
            &format!("{long} 1"),
            &format!("{good}g"),
        ] {
            assert_eq!(super::author(bad), None, "{bad}");
        }
    }
}
