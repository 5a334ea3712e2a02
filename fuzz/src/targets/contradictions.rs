//! The files `contradiction-…` and `forked` beside a log.

use peerchat::{
    log::{Log, contradiction_file, read_contradictions, read_forked},
    net::convert::decode_entry,
    node::{contradiction::Contradiction, limits::FORKED_MAX},
};

use crate::{
    dice::Dice,
    files::{self, LIFE, disk, folder},
    pens::{Pen, room},
    within,
};

/// Reads proofs that were changed, and keeps what was read.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let proof = proof(&mut dice);
    let mut bytes = written(&proof);
    if dice.bool() {
        dice.edit(&mut bytes);
    }
    let name = contradiction_file(&proof.author());
    let forked = dice.rest().to_vec();
    let len = bytes.len() + forked.len();
    let disk = disk([(name.as_str(), bytes.clone()), ("forked", forked)]);
    within(4 * 1024 * 1024, 500, len, || {
        let authors = read_forked(&disk, folder()).expect("the disk works");
        assert!(authors.len() <= FORKED_MAX);
        let mut found = Vec::new();
        read_contradictions(&disk, folder(), decode_entry, |author, proof| found.push((author, proof))).expect("the disk works");
        assert_eq!(found.len(), 1);
        for (author, read) in found {
            assert_eq!(author, proof.author());
            let Some(read) = read else { continue };
            assert_eq!(read.author(), author);
            let _holds = read.holds(&room());
            let (log, _) = Log::open(disk.clone(), folder(), decode_entry).expect("there is no log to be damaged");
            log.keep_contradiction(&read).expect("the disk works");
            assert_eq!(log.contradiction(&author).expect("the disk works"), Some(read));
        }
    });
}

/// Two seals of one author, and entries that lead to the second.
fn proof(dice: &mut Dice) -> Contradiction {
    let mut pen = Pen::new(1);
    pen.write("first");
    let seal = pen.seal();
    let mut other = Pen::new(1);
    other.write("another first");
    let entries: Vec<_> = (0..dice.below(5)).map(|_| other.write("next")).collect();
    let mut proof = Contradiction {
        seal,
        other: other.seal(),
        entries,
    };
    if dice.below(8) == 0 {
        proof.other.seq.0 = dice.number();
    }
    proof
}

fn written(proof: &Contradiction) -> Vec<u8> {
    let mut bytes = files::header(b"PEERCON\n", LIFE);
    for seal in [&proof.seal, &proof.other] {
        let content = [
            &seal.author.device.0[..],
            &seal.author.incarnation.to_le_bytes(),
            &seal.seq.0.to_le_bytes(),
            &seal.id.0,
            &seal.signature,
        ];
        bytes.extend(files::frame(LIFE, &content.concat()));
    }
    for entry in &proof.entries {
        bytes.extend(files::frame(LIFE, &entry.bytes));
    }
    bytes
}

/// A good one, and one with a list of authors.
pub fn seeds() -> Vec<Vec<u8>> {
    let listed = format!("{} 00000000000000ff\n", "ab".repeat(32));
    vec![vec![2, 1, 0], [&[0, 1, 0][..], listed.as_bytes()].concat(), vec![3, 1, 1, 0, 60, 0, 0, 1]]
}
