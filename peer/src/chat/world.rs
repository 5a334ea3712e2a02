//! What a user has under one authority: opened before any registry has answered, where it is known under which that will be, and anew
//! where one of another authority has let him in.

use std::path::{Path, PathBuf};

use super::{ChatError, permits};
use crate::{
    checkup,
    driver::{
        core::{Codec, Core},
        earlier::EarlierLogs,
    },
    folder::{earlier, places},
    log::{Disk as _, RealDisk},
    net::convert,
    node::{
        Identity,
        event::{Code, Notice},
        types::{Authority, UserName},
    },
    seal::SharedNotary,
    state::{self, State},
};

/// What a user has under one authority, or where there is none yet.
pub(super) struct World {
    pub(super) core: Core<RealDisk>,
    pub(super) state: State,
    /// What he must know of it.
    pub(super) notices: Vec<Notice>,
    /// Where it is.
    pub(super) folder: PathBuf,
    /// What he has taken along from others.
    pub(super) earlier: EarlierLogs,
    /// He had something under any authority before.
    pub(super) was_used: bool,
}

/// Opens worlds of one device.
pub(super) struct Opener {
    pub(super) user: PathBuf,
    /// Under which authorities something was there when the process began.
    pub(super) before: Vec<Authority>,
    pub(super) me: Identity,
    pub(super) codec: Codec,
    pub(super) notary: SharedNotary,
}

impl Opener {
    /// What is under an authority already.
    pub(super) fn open_known(&self, authority: Option<Authority>) -> Result<Option<World>, ChatError> {
        let Some(authority) = authority else { return Ok(None) };
        let folder = places::find(&self.user, authority)?;
        let folder = folder.map(|folder| self.open_in(folder, Some(authority), Vec::new(), true));
        folder.transpose()
    }

    /// What is under an authority, or will be.
    pub(super) fn open(&self, authority: Option<Authority>) -> Result<World, ChatError> {
        let Some(authority) = authority else {
            return self.open_in(self.user.clone(), None, Vec::new(), false);
        };
        let last = places::last(&self.user)?;
        // Whoever was let in has a folder by now.
        let is_new = !self.before.contains(&authority);
        let folder = places::of(&self.user, authority)?;
        let moved = last.filter(|last| *last != authority && is_new);
        let notices = moved
            .map(|last| moved_notice(&self.me.user, last, authority))
            .into_iter()
            .collect();
        self.open_in(folder, Some(authority), notices, !is_new || moved.is_some())
    }

    fn open_in(
        &self,
        folder: PathBuf,
        authority: Option<Authority>,
        mut notices: Vec<Notice>,
        was_used: bool,
    ) -> Result<World, ChatError> {
        let disk = RealDisk;
        let who = (self.me.clone(), authority);
        let (codec, notary) = (self.codec.clone(), self.notary.clone());
        let (mut core, found) = Core::open(disk, folder.clone(), who, codec, notary, disk.random())?;
        permits::release(&mut core)?;
        notices.extend(found);
        let state = State::load(&disk, &folder)?;
        let (people, lost) = state::people::load(&disk, &folder, &self.me)?;
        core.set_people(people);
        notices.extend(lost);
        let earlier = earlier::all(&self.user, &folder, &self.me.user)?;
        let was_used = was_used || state != State::default() || !core.node().talks().is_empty();
        Ok(World {
            core,
            state,
            notices,
            earlier: EarlierLogs::new(earlier, self.codec.decode),
            folder,
            was_used,
        })
    }
}

/// Puts right and sets aside what is not what it should be, under whichever authority. Returns what the user must know.
pub(super) fn mend(data: &Path, user: &Path, name: &UserName) -> Result<Vec<Notice>, ChatError> {
    let mut folders: Vec<PathBuf> = places::all(user)?.into_iter().map(|place| place.folder).collect();
    if !folders.iter().any(|folder| folder == user) {
        folders.push(user.to_owned());
    }
    let mend = |folder: PathBuf| checkup::mend(data, user, &folder, name, convert::decode_entry);
    Ok(folders.into_iter().flat_map(mend).collect())
}

/// Sets aside what is of no authority. Returns what the user must know.
pub(super) fn set_old_aside(user: &Path) -> Result<Option<Notice>, ChatError> {
    let old = places::set_old_aside(user)?;
    let message = |old: PathBuf| {
        format!(
            "what was kept here does not say under which registry's authority, so it is not opened: it is in {}, and the version of \
             Peerchat that wrote it can read it",
            old.display()
        )
    };
    Ok(old.map(|old| Notice {
        code: Code::OtherAuthority,
        message: message(old),
    }))
}

fn moved_notice(me: &UserName, last: Authority, authority: Authority) -> Notice {
    let message = format!(
        "this registry gives names under another authority ({authority}) than before ({last}): whoever is called bob here may be \
         somebody else. Your conversations under {last} stay on your disk, and nobody here is given them; you are in them again when you \
         are back there. `peerchat adopt --user {me}` shows which of them you can take along, for your eyes"
    );
    Notice {
        code: Code::OtherAuthority,
        message,
    }
}
