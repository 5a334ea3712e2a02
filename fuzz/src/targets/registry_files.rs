//! A node's files: records of the ledger, the ledger's file, and the line of the term.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use peerchat_registry::cluster::{
    fuzzing::{records, term},
    ledger_store::LedgerStore,
    term::NodeId,
};
use ring::digest::{SHA256, digest};
use tempfile::TempDir;

use crate::{dice::Dice, within};

const SALT: [u8; 16] = [7; 16];

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder");
}

/// Reads bytes as each of them.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    within(1024 * 1024, 400, data.len(), || match kind % 4 {
        0 => {
            if let Some(written) = term(bytes) {
                assert_eq!(written.len() <= bytes.len(), term(&written).is_some());
                assert_eq!(term(&written).as_ref(), Some(&written));
            }
        }
        1 => ledger(bytes),
        _ => {
            if let Some(written) = records(bytes) {
                assert_eq!(written, bytes, "there is one way to write records");
            }
        }
    });
}

/// A file of frames, some of which are changed.
fn ledger(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let own = NodeId::new(1).expect("a node");
    let mut file = b"peerchat ledger 1 of node 01\n".to_vec();
    file.extend_from_slice(&SALT);
    for _ in 0..dice.below(8) {
        match dice.below(4) {
            0 => file.extend_from_slice(dice.few()),
            _ => file.extend(frame(dice.few())),
        }
    }
    if dice.bool() {
        dice.edit(&mut file);
    }
    FOLDER.with(|folder| {
        let folder = folder.path().join("data");
        peerchat_identity::secret_file::private_folder(&folder).expect("the disk works");
        let path = folder.join("cluster.ledger");
        // Not as a registry writes it, which waits for the disk.
        fs::write(&path, &file).expect("the disk works");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the disk works");
        if let Ok((_, kept)) = LedgerStore::open(&folder, own, SALT) {
            let (_, again) = LedgerStore::open(&folder, own, SALT).expect("it was opened before");
            assert_eq!(format!("{again:?}"), format!("{kept:?}"));
        }
    });
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let sum = digest(&SHA256, &[&SALT, payload].concat());
    [b"\xf1LDG", &(payload.len() as u64).to_le_bytes()[..], &sum.as_ref()[..8], payload].concat()
}

/// Records of each kind, alone and in a file, and a term.
pub fn seeds() -> Vec<Vec<u8>> {
    let number = |n: u64| n.to_le_bytes();
    let place = [number(201), number(5)].concat();
    let promise = [&[1][..], &number(201)].concat();
    let append = [&[3][..], &place, &[1], &number(9), &number(4), &number(3), b"abc"].concat();
    let all = [&promise[..], &[2], &append, &[3], &place, &[0, 4], &number(4), &[5], &place, &[6], &place, &[7]].concat();
    let framed = [&[1, 3, 1, promise.len() as u8][..], &promise, &[1, append.len() as u8], &append, &[0, 2, 9, 9, 0]].concat();
    vec![[&[2][..], &all].concat(), framed, b"\0node 2 term 203\n".to_vec()]
}
