//! `index` beside a sound log: whatever it says, the log holds what it holds.

use peerchat::{
    log::{Log, LogError},
    net::convert::decode_entry,
};

use crate::{
    dice::Dice,
    files::{self, LIFE, disk, folder},
    pens::Pen,
    within,
};

const ENTRIES: usize = 6;

/// Opens the log.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let (log, offsets, held) = log();
    let mut index = sound(&offsets);
    let is_forged = dice.bool();
    if is_forged {
        // Check sums that no damage leaves good.
        index.truncate(48);
        for position in 0..dice.below(9) as u32 {
            let at = offsets.get(dice.below(8)).copied().unwrap_or_else(|| dice.number());
            let mut content = [0; 20];
            content[..8].copy_from_slice(&at.to_le_bytes());
            content[8..16].copy_from_slice(&dice.number().to_le_bytes());
            content[16..].copy_from_slice(&(dice.number() as u32).to_le_bytes());
            index.extend(files::record(LIFE, position, &content));
        }
    } else {
        dice.edit(&mut index);
    }
    let disk = disk([("log", log), ("index", index)]);
    within(4 * 1024 * 1024, 1_000, data.len(), || {
        for start in 0..2 {
            let (log, opened) = match Log::open(disk.clone(), folder(), decode_entry) {
                Ok(opened) => opened,
                Err(LogError::Newer { .. }) => return,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(log.heights(), held);
            assert!(start == 0 || opened.damage.is_empty(), "{:?}", opened.damage);
            for of in opened.authors.iter().filter(|_| !is_forged) {
                assert!(of.lamports.iter().map(|at| at.0).eq(1..=3), "{:?}", of.lamports);
            }
        }
    });
}

/// A log of two authors, where its frames are, and what it holds.
fn log() -> (Vec<u8>, Vec<u64>, peerchat::node::types::Heights) {
    let mut bytes = files::header(b"PEERLOG\n", LIFE);
    let mut pens = [Pen::new(1), Pen::new(2)];
    let (mut offsets, mut held) = (Vec::new(), peerchat::node::types::Heights::default());
    for n in 0..ENTRIES {
        let entry = pens[n % 2].write("text");
        offsets.push(bytes.len() as u64);
        bytes.extend(files::frame(LIFE, &entry.bytes));
        held.0.insert(entry.author, entry.seq);
    }
    (bytes, offsets, held)
}

fn sound(offsets: &[u64]) -> Vec<u8> {
    let mut index = files::header(b"PEERIDX\n", LIFE);
    for (position, offset) in (0_u32..).zip(offsets) {
        let (lamport, author) = (u64::from(position / 2 + 1), position % 2);
        let content = [&offset.to_le_bytes()[..], &lamport.to_le_bytes(), &author.to_le_bytes()].concat();
        index.extend(files::record(LIFE, position, &content));
    }
    index
}

/// One that is edited, and one that is made up.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 1, 60, 0, 0, 3],
        vec![0, 0, 60, 0, 1],
        vec![1, 6, 0, 65, 64, 1, 65, 65, 2, 66, 64],
    ]
}
