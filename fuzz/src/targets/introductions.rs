//! `introductions`: certificates in frames, and what lies between them.

use bytes::Bytes;
use peerchat::log::{Introductions, LogError, read_introductions};

use crate::{
    dice::Dice,
    files::{self, LIFE, disk, folder},
    within,
};

/// Reads the file, opens it, adds one, and reads it again.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let mut bytes = files::header(b"PEERINT\n", LIFE);
    let mut made: Vec<&[u8]> = Vec::new();
    for _ in 0..dice.below(32) {
        match dice.below(4) {
            0 => bytes.extend_from_slice(dice.few()),
            _ => {
                let content = dice.few();
                if !content.is_empty() {
                    made.push(content);
                    bytes.extend(files::frame(LIFE, content));
                }
            }
        }
    }
    if dice.bool() {
        dice.edit(&mut bytes);
    }
    let len = bytes.len();
    let disk = disk([("introductions", bytes)]);
    within(4 * 1024 * 1024, 100, len, || {
        let read = read_introductions(&disk, folder()).expect("the disk works");
        assert!(read.iter().map(Bytes::len).sum::<usize>() <= len);
        let (mut file, found) = match Introductions::open(&disk, folder()) {
            Ok(opened) => opened,
            Err(LogError::Newer { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, read);
        file.push(b"one more").expect("the disk works");
        file.sync().expect("the disk works");
        let (_, again) = Introductions::open(&disk, folder()).expect("it was opened before");
        assert_eq!(again[..found.len()], found);
        assert_eq!(again[found.len()..], [Bytes::from_static(b"one more")]);
    });
}

/// Good ones, and one with bytes between.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        [3, 1, 5, b'a', b'b', b'c', b'd', b'e', 1, 2, b'x', b'y', 1, 1, b'z', 0].to_vec(),
        [4, 1, 3, b'a', b'b', b'c', 0, 2, 9, 9, 1, 2, b'x', b'y', 1, 1, b'z', 1, 0, 60, 0, 0, 1].to_vec(),
    ]
}
