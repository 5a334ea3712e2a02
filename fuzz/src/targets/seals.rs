//! `seals`: slots with any content.

use peerchat::{
    log::{LogError, Seals, read_seals},
    node::types::Seq,
};

use crate::{
    dice::Dice,
    files::{self, LIFE, disk, folder},
    pens::Pen,
    within,
};

/// Opens the file, asks for seals, keeps more, and opens it again.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let mut pens: Vec<Pen> = (1..=3).map(Pen::new).collect();
    let mut bytes = files::header(b"PEERSEL\n", LIFE);
    for _ in 0..dice.below(40) {
        match dice.below(8) {
            0 => bytes.extend_from_slice(&[0; 148]),
            1 => bytes.extend_from_slice(dice.few()),
            kind => {
                let mut content = content(&mut pens[dice.below(3)]);
                if kind < 5 {
                    content[40..48].copy_from_slice(&dice.number().to_le_bytes());
                }
                bytes.extend(files::slot(LIFE, &content));
            }
        }
    }
    if dice.bool() {
        dice.edit(&mut bytes);
    }
    let len = bytes.len();
    let disk = disk([("seals", bytes)]);
    within(4 * 1024 * 1024, 200, len, || {
        let mut read = 0;
        let looked = read_seals(&disk, folder(), |_, _| read += 1);
        let mut seals = match Seals::open(disk.clone(), folder()) {
            Ok(seals) => seals,
            Err(LogError::Newer { .. }) => return assert!(looked.is_err()),
            Err(error) => panic!("{error}"),
        };
        assert!(read <= len / 148, "{read} slots");
        for pen in &mut pens {
            let held = seals.latest().expect("the disk works");
            let last = held.iter().filter(|seal| seal.author == pen.author).map(|seal| seal.seq).max();
            for at in [Seq(0), Seq(1), Seq(dice.number())] {
                let first = seals.first_from(&pen.author, at).expect("the disk works");
                assert_eq!(first.as_ref().map(|seal| seal.seq), seals.covering(&pen.author, at));
                assert!(first.is_none_or(|seal| seal.seq >= at && seal.author == pen.author));
                let upto = seals.last_upto(&pen.author, at).expect("the disk works");
                assert!(upto.is_none_or(|seal| seal.seq <= at && seal.author == pen.author));
            }
            pen.write("text");
            let mut new = pen.seal();
            new.seq = Seq(dice.number());
            seals.push(&new).expect("the disk works");
            let now = seals.covering(&pen.author, last.unwrap_or_default());
            assert!(now >= last, "a later seal takes no earlier one's place: {now:?}, {last:?}");
        }
        seals.sync().expect("the disk works");
        let mut held = seals.latest().expect("the disk works");
        let mut again = Seals::open(disk.clone(), folder()).expect("it was opened before").latest().expect("the disk works");
        // What covers more alone than it may is passed over at the next start.
        held.sort_by_key(|seal| seal.author);
        again.sort_by_key(|seal| seal.author);
        for seal in &again {
            let before = held.iter().find(|held| held.author == seal.author);
            assert!(before.is_some_and(|held| held.seq >= seal.seq), "{seal:?}");
        }
    });
}

fn content(pen: &mut Pen) -> Vec<u8> {
    pen.write("text");
    let seal = pen.seal();
    [
        &seal.author.device.0[..],
        &seal.author.incarnation.to_le_bytes(),
        &seal.seq.0.to_le_bytes(),
        &seal.id.0,
        &seal.signature,
    ]
    .concat()
}

/// Good slots, empty ones and bad ones.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        [vec![12], [7, 0, 7, 1, 7, 2].repeat(4), vec![0]].concat(),
        [vec![6], [0, 7, 1, 3, 0, 70].repeat(2), vec![1, 0, 50, 0, 0, 1]].concat(),
    ]
}
