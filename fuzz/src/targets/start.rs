//! A user's whole folder, with any of its files changed: a peer starts with it, and starts again.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use peerchat::{
    driver::core::{Codec, Core},
    log::{Disk as _, INTRODUCTIONS_FILE, Introductions, Log, LogError, MemoryDisk, NAME_FILE, Resume, SEALS_FILE, Seals, prepare},
    net::convert,
    node::{
        Identity,
        private::Invitation,
        types::{Conversation, RoomName},
    },
};

use crate::{
    dice::Dice,
    files,
    pens::{AUTHORITY, HashNotary, Pen, device, room, user},
    within,
};

const DATA: &str = "/data";

/// The files that are changed; of the folder itself where there is no conversation.
const FILES: [&str; 8] = ["log", "index", SEALS_FILE, NAME_FILE, "resume", "forked", "invitation", INTRODUCTIONS_FILE];

/// Starts on a changed folder.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let disk = LEFT.kill();
    let conversations = conversations();
    for _ in 0..=dice.below(3) {
        let name = FILES[dice.below(FILES.len())];
        let place = match name {
            INTRODUCTIONS_FILE => PathBuf::from(DATA),
            _ => folder_of(&conversations[dice.below(conversations.len())]),
        };
        let path = place.join(name);
        let mut bytes = disk.bytes_of(&path).unwrap_or_default();
        match dice.below(4) {
            0 => bytes = dice.few().to_vec(),
            // The file of another conversation.
            1 => {
                let other = folder_of(&conversations[dice.below(conversations.len())]).join(name);
                bytes = disk.bytes_of(&other).unwrap_or_default();
            }
            _ => dice.edit(&mut bytes),
        }
        files::put(&disk, &path, bytes);
    }
    within(4 * 1024 * 1024, 2_000, data.len(), || {
        let Some(first) = versions(&disk) else { return };
        assert_eq!(versions(&disk), Some(first), "the second start finds what the first one left");
    });
}

/// How much a peer that starts holds of each conversation; none where a newer version wrote something.
fn versions(disk: &MemoryDisk) -> Option<Vec<(Conversation, u64)>> {
    let me = me();
    let notary = HashNotary::shared(me.device);
    let codec = Codec {
        encode: convert::encoder(notary.tag_key().clone()),
        decode: convert::decode_entry,
    };
    match Core::open(disk.clone(), DATA.into(), (me, Some(AUTHORITY)), codec, notary, 1) {
        Ok((core, _)) => {
            let talks = core.node().talks().iter();
            Some(talks.map(|(id, talk)| (id.clone(), talk.replica.heights().version())).collect())
        }
        Err(LogError::Newer { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn me() -> Identity {
    Identity {
        user: user("user-1"),
        device: device(1),
    }
}

fn invitation() -> Invitation {
    Invitation::new(&RoomName::new("secret").expect("a name"), [3; 16].into())
}

fn conversations() -> [Conversation; 3] {
    [
        room(),
        Conversation::direct(&me().user, &user("user-2")),
        Conversation::Room(invitation().room()),
    ]
}

fn folder_of(conversation: &Conversation) -> PathBuf {
    Path::new(DATA).join(peerchat::log::folder_of(conversation, &me().user))
}

/// A folder as a peer leaves it.
static LEFT: LazyLock<MemoryDisk> = LazyLock::new(folder);

fn folder() -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    let data = Path::new(DATA);
    disk.create_folder(data).expect("the disk works");
    let (mut introductions, _) = Introductions::open(&disk, data).expect("the disk works");
    for conversation in conversations() {
        let folder = prepare(&disk, data, &me().user, &conversation).expect("the disk works");
        let (mut log, _) = Log::open(disk.clone(), &folder, convert::decode_entry).expect("the disk works");
        let mut seals = Seals::open(disk.clone(), &folder).expect("the disk works");
        for n in 1..=2 {
            let mut pen = Pen::of(n, user(&format!("user-{n}")), conversation.clone());
            introductions.push(&pen.certificate()).expect("the disk works");
            for text in ["one", "two", "three"] {
                log.append(&[pen.write(text)]).expect("the disk works");
            }
            seals.push(&pen.seal()).expect("the disk works");
        }
        let permit = Resume {
            incarnation: 1,
            state: Vec::new(),
        };
        log.close(Some(&permit)).expect("the disk works");
    }
    let text = format!("{}\n", *invitation().text());
    files::put(&disk, &folder_of(&conversations()[2]).join("invitation"), text.into_bytes());
    disk
}

/// Each file changed in one place.
pub fn seeds() -> Vec<Vec<u8>> {
    let one = |file| vec![0, file, file % 3, 3, 0, 20, 0, 0, 3];
    (0..FILES.len() as u8).map(one).chain([vec![0, 0, 0, 1, 1], vec![0, 3, 1, 1, 0], vec![0, 3, 0, 0, 3, b'x', 0xff, b'\n']]).collect()
}
