//! `log` with an index, logs that were set aside and the rest of a conversation's folder: frames of good and bad entries, garbage between
//! them, and files that contradict one another.

use peerchat::{
    log::{Log, LogError, MemoryDisk, verify},
    net::convert::decode_entry,
    node::types::Entry,
};

use crate::{
    dice::Dice,
    files::{self, LIFE, disk, folder},
    pens::Pen,
    within,
};

/// Opens the log in the folder twice.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let mut made = Made::default();
    let log = made.log(&mut dice);
    let mut in_folder = vec![("log", log)];
    match dice.below(8) {
        0 => in_folder.push(("index", dice.few().to_vec())),
        1 => in_folder.push(("index", index(&mut dice))),
        2 => in_folder.push(("log.damaged-1", made.log(&mut dice))),
        3 => in_folder.push(("log.damaged-18446744073709551615", made.log(&mut dice))),
        4 => in_folder.push(("resume", dice.few().to_vec())),
        5 => in_folder.push(("forked", format!("{} {:016x}\n", made.pens[0].author.device, 1).into_bytes())),
        _ => {}
    }
    within(4 * 1024 * 1024, 2_000, data.len(), || opens(&disk(in_folder), &made));
}

/// What was written into the files, and who writes.
struct Made {
    pens: Vec<Pen>,
    entries: Vec<std::sync::Arc<Entry>>,
    /// Bytes that are an entry by chance or by copying.
    other: usize,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            pens: (1..=3).map(Pen::new).collect(),
            entries: Vec::new(),
            other: 0,
        }
    }
}

impl Made {
    fn log(&mut self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = match dice.below(8) {
            0 => dice.few().to_vec(),
            1 => {
                let mut header = files::header(b"PEERLOG\n", LIFE);
                dice.edit(&mut header);
                header
            }
            2 => files::header(b"PEERLOG\n", LIFE + 1),
            _ => files::header(b"PEERLOG\n", LIFE),
        };
        for _ in 0..dice.below(24) {
            match dice.below(10) {
                0 => bytes.extend_from_slice(dice.few()),
                1 => {
                    let content = dice.few();
                    self.other += 1;
                    if !content.is_empty() {
                        bytes.extend(files::frame(LIFE, content));
                    }
                }
                2 => {
                    let mut frame = files::frame(LIFE, &self.write(dice).bytes);
                    dice.edit(&mut frame);
                    bytes.extend(frame);
                }
                3 if !self.entries.is_empty() => {
                    let again = &self.entries[dice.below(self.entries.len())];
                    bytes.extend(files::frame(LIFE, &again.bytes));
                }
                4 => bytes.extend(files::frame(LIFE + 1, &self.write(dice).bytes)),
                _ => bytes.extend(files::frame(LIFE, &self.write(dice).bytes)),
            }
        }
        bytes
    }

    fn write(&mut self, dice: &mut Dice) -> std::sync::Arc<Entry> {
        let to: Vec<_> = self.entries.last().cloned().into_iter().collect();
        let to: Vec<&Entry> = to.iter().map(AsRef::as_ref).collect();
        let pen = &mut self.pens[dice.below(3)];
        let mut draft = pen.draft("text");
        match dice.below(16) {
            // What no honest author writes.
            0 => draft.lamport.0 = dice.number(),
            1 => draft.seq.0 = dice.number(),
            2 => draft.author.incarnation = dice.number(),
            _ => {
                let entry = pen.answer("text", &to);
                self.entries.push(entry.clone());
                return entry;
            }
        }
        let entry = peerchat::net::convert::encode_entry(draft);
        self.entries.push(entry.clone());
        entry
    }
}

/// An index whose check sums are good.
fn index(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = files::header(b"PEERIDX\n", LIFE);
    for position in 0..dice.below(12) as u32 {
        let mut content = [0; 20];
        content[..8].copy_from_slice(&dice.number().to_le_bytes());
        content[8..16].copy_from_slice(&dice.number().to_le_bytes());
        content[16..].copy_from_slice(&(dice.number() as u32).to_le_bytes());
        bytes.extend(files::record(LIFE, position, &content));
    }
    bytes
}

fn opens(disk: &MemoryDisk, made: &Made) {
    let before = files::all(disk, folder());
    let _judged = verify(disk, folder(), decode_entry, |_, _| {});
    assert_eq!(files::all(disk, folder()), before, "looking changes nothing");
    let (log, opened) = match Log::open(disk.clone(), folder(), decode_entry) {
        Ok(opened) => opened,
        Err(LogError::Newer { .. }) => {
            assert_eq!(files::all(disk, folder()), before, "what is newer is left as it is");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let most = made.entries.len() + made.other;
    assert!(log.version() <= most as u64, "more than was written");
    assert_eq!(opened.authors.iter().map(|of| of.lamports.len() as u64).sum::<u64>(), log.version());
    for of in &opened.authors {
        assert!(of.lamports.is_sorted_by(|a, b| a < b), "Lamport times grow");
    }
    let held = log.heights();
    drop(log);
    // All was put in order, so the next start finds no more damage, and the same.
    let (mut log, again) = Log::open(disk.clone(), folder(), decode_entry).expect("it was opened before");
    assert!(again.damage.is_empty(), "{:?}", again.damage);
    assert_eq!((again.bytes_cut, log.heights()), (0, held));
    assert_eq!(again.authors, opened.authors);
    let entry = Pen::new(9).write("new");
    log.append(std::slice::from_ref(&entry)).expect("it takes what comes");
    log.close(None).expect("the disk works");
    let (log, _) = Log::open(disk.clone(), folder(), decode_entry).expect("it was opened before");
    let found = log.read(&entry.author, entry.seq).expect("it was appended");
    assert_eq!(found.bytes, entry.bytes);
}

/// A good log, and one with each kind of damage.
pub fn seeds() -> Vec<Vec<u8>> {
    let good: Vec<u8> = [7, 12].into_iter().chain((0..12).flat_map(|n| [9, n % 3, 9])).collect();
    let kinds = (0..10).map(|kind| {
        let items = (0..8).flat_map(|n| [if n == 3 { kind } else { 9 }, n, 9]);
        [3, 8].into_iter().chain(items).chain([1, 4, 2, 100, 3, 0, 64, 5]).collect()
    });
    std::iter::once(good).chain(kinds).collect()
}
