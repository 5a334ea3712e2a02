//! `resume`: the permit to go on with an incarnation holds only as it was written.

use peerchat::{
    log::{Log, Resume},
    net::convert::decode_entry,
};

use crate::{
    dice::Dice,
    files::{disk, folder},
    pens::Pen,
    within,
};

/// Closes a log, changes the permit, and opens the log.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let disk = disk([]);
    let permit = Resume {
        incarnation: 5,
        state: dice.few().to_vec(),
    };
    let (mut log, _) = Log::open(disk.clone(), folder(), decode_entry).expect("the disk works");
    log.append(&[Pen::new(1).write("text")]).expect("the disk works");
    log.close(Some(&permit)).expect("the disk works");
    let path = folder().join("resume");
    let written = disk.bytes_of(&path).expect("it was written");
    let mut changed = written.clone();
    dice.edit(&mut changed);
    if dice.bool() {
        // With a check sum that no damage leaves good.
        changed.truncate(changed.len().saturating_sub(4));
        changed.extend(crc32c::crc32c(&changed).to_le_bytes());
    }
    let is_same = changed == written;
    let is_summed = changed.len() >= 4 && {
        let (content, sum) = changed.split_at(changed.len() - 4);
        crc32c::crc32c(content).to_le_bytes() == sum
    };
    let len = changed.len();
    disk.tamper(&path, |bytes| *bytes = changed);
    within(4 * 1024 * 1024, 100, len, || {
        let (log, opened) = Log::open(disk.clone(), folder(), decode_entry).expect("the disk works");
        assert_eq!(log.version(), 1);
        match opened.resume {
            Some(found) if is_same => assert_eq!(found, permit),
            Some(_) => assert!(is_summed, "a damaged permit holds"),
            None => {
                assert!(!is_same, "a good permit does not hold");
                assert_eq!(disk.bytes_of(&path), None, "what does not hold is removed");
            }
        }
    });
}

/// Those that were changed in one place.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![vec![3, b'a', b'b', b'c', 0, 12, 0, 0, 3, 0], vec![0, 0, 20, 0, 1, 1], vec![1, b'x', 0, 52, 0, 0, 0, 1]]
}
