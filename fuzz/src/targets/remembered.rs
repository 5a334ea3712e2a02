//! `state.json` and `people.json`.

use std::path::Path;

use peerchat::{
    log::MemoryDisk,
    node::{Identity, limits::PEOPLE_MAX, people::People},
    state::{State, people},
};

use crate::{
    files,
    pens::{device, user},
    within,
};

/// Reads one of the two, and writes and reads it again.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let (disk, folder) = (MemoryDisk::new(1), Path::new("/"));
    let me = Identity {
        user: user("me"),
        device: device(1),
    };
    let name = if kind & 1 == 0 { "state.json" } else { "people.json" };
    files::put(&disk, &folder.join(name), bytes.to_vec());
    within(4 * 1024 * 1024, 400, data.len(), || {
        if kind & 1 == 0 {
            let mut state = State::load(&disk, folder).expect("the disk works");
            let known = state.memberships();
            let _current = state.current(&me.user);
            assert!(state.rooms().iter().all(|room| !known.rooms().any(|other| other == room) || known.is_in(room)));
            state.set_memberships(&known);
            files::put(&disk, &folder.join(name), state.bytes());
            assert_eq!(State::load(&disk, folder).expect("the disk works").memberships(), known);
        } else {
            let (found, lost) = people::load(&disk, folder, &me).expect("the disk works");
            let all = |people: &People| -> Vec<_> {
                people.all().into_iter().map(|(user, of)| (user.shown().to_owned(), of.devices().to_vec(), of.trusted_at())).collect()
            };
            assert!(all(&found).len() <= PEOPLE_MAX);
            assert!(lost.is_none() || all(&found).is_empty(), "nothing is believed of a damaged file");
            files::put(&disk, &folder.join(name), people::bytes(&found));
            let (again, lost) = people::load(&disk, folder, &me).expect("the disk works");
            assert_eq!((all(&again), lost), (all(&found), None));
        }
    });
}

/// As peers write them.
pub fn seeds() -> Vec<Vec<u8>> {
    let state = br##"{"rooms":["lobby","plans:aeaqcaibaeaqcaibaeaqcaibae"],"stamps":{"lobby":1,"left":2},"current":"@bob"}"##;
    let device = "07".repeat(32);
    let people = format!(
        r#"{{"people":[{{"user":"Bob","trusted_at":5,"devices":[{{"device":"{device}","first_met":1,"last_met":2,"trusted":true}}]}}]}}"#
    );
    vec![[b"\0", &state[..]].concat(), [b"\x01", people.as_bytes()].concat()]
}
