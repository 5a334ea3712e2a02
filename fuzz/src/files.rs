//! The bytes of a conversation's files, made after `docs/log-format.md` and not with the code that is tried here.

use std::path::{Path, PathBuf};

use peerchat::log::{Disk as _, MemoryDisk};

/// The random number of all files that are made here.
pub const LIFE: u64 = 7;

/// The header of a file.
pub fn header(magic: &[u8; 8], life: u64) -> Vec<u8> {
    let mut copy = magic.to_vec();
    copy.extend_from_slice(&peerchat::log::VERSION.to_le_bytes());
    copy.extend_from_slice(&life.to_le_bytes());
    let sum = crc32c::crc32c(&copy);
    copy.extend_from_slice(&sum.to_le_bytes());
    copy.repeat(2)
}

fn summed(start: &[u8], content: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(start), content).to_le_bytes()
}

/// A frame with a good check sum.
pub fn frame(life: u64, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    let sum = summed(&[&life.to_le_bytes()[..], &length].concat(), content);
    [&length[..], &sum, content].concat()
}

/// A record of the index with a good check sum.
pub fn record(life: u64, position: u32, content: &[u8]) -> Vec<u8> {
    let sum = summed(&[&life.to_le_bytes()[..], &position.to_le_bytes()].concat(), content);
    [content, &sum].concat()
}

/// A slot of the seals with a good check sum.
pub fn slot(life: u64, content: &[u8]) -> Vec<u8> {
    [content, &summed(&life.to_le_bytes(), content)].concat()
}

/// The folder of the one log that most targets have.
pub fn folder() -> &'static Path {
    Path::new("/room")
}

/// A disk with that folder and these files in it.
pub fn disk<'f>(files: impl IntoIterator<Item = (&'f str, Vec<u8>)>) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    disk.create_folder(folder()).expect("the disk works");
    for (name, bytes) in files {
        put(&disk, &folder().join(name), bytes);
    }
    disk
}

/// Writes a file as a user does who edits it.
pub fn put(disk: &MemoryDisk, path: &Path, bytes: Vec<u8>) {
    disk.create(path).expect("the disk works");
    disk.tamper(path, |old| *old = bytes);
}

/// All files in a folder.
pub fn all(disk: &MemoryDisk, folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let names = disk.list(folder).expect("the disk works");
    let paths = names.into_iter().map(|name| folder.join(name));
    paths
        .filter_map(|path| Some((path.clone(), disk.bytes_of(&path)?)))
        .collect()
}
