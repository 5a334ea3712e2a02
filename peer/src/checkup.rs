//! What in a user's data folder is not what it should be, apart from what is in the logs: found before anything is read there, set aside, and
//! told once with what to do. Nothing of it keeps a peer from starting, and `peerchat verify` names all of it.
//!
//! A file that is damaged is renamed to `<name>.set-aside-1`, or the next free number, and whoever reads it finds none. The name of a
//! conversation is mended from its log. Keys that others can read are refused by whoever reads them, with what to do.

mod kinds;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::kinds::kinds;
use crate::{
    credentials,
    folder::places,
    known_registries::KnownRegistries,
    log::{
        self, Disk as _, EARLIER_FILE, INTRODUCTIONS_FILE, IoError, Misplaced, MisplacedKind, NAME_FILE, RealDisk,
        Shelved,
    },
    node::{
        event::{Code, Notice},
        private::Invitation,
        types::{Conversation, Decode, UserName},
    },
    state,
};

/// No file whose content is looked at here is longer.
const CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Whether a file's content is what it should be.
type IsSound = fn(&[u8]) -> bool;

/// Something that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What that means, and what can be done.
    pub then: String,
    code: Code,
    mend: Mend,
    is_damage: bool,
}

/// What is done about a fault at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mend {
    SetAside,
    /// What is in the folder is known, and it is put right.
    PutInPlace,
    /// It harms nobody, and is for the user.
    Nothing,
}

impl Fault {
    /// Whether what is wrong is damage, and not a copy that somebody made.
    pub fn is_damage(&self) -> bool {
        self.is_damage
    }
}

/// Looks through what a user, whose folder below `data` is `own`, has under one authority in `folder`, and changes nothing.
pub fn look(data: &Path, own: &Path, folder: &Path, user: &UserName, decode: Decode) -> Vec<Fault> {
    let mut faults = kinds(data, folder);
    let is_whole = |name: &str| !faults.iter().any(|fault| fault.path == folder.join(name));
    let mut found = Vec::new();
    if is_whole(credentials::KEY) && is_whole(credentials::CERTIFICATE) && is_whole(places::AUTHORITY_CERTIFICATE) {
        for (name, what) in credentials::faults(own, folder, user) {
            let then = match name {
                credentials::KEY => {
                    "this is a new device now, which the registry lets in with the password; to be the old one, put a copy of its key back"
                }
                _ => {
                    "the registry gives another one at the next log-in; if a file of another folder was put here, put the right one back"
                }
            };
            found.push(fault(folder.join(name), what, then));
        }
    }
    let content: [(&str, IsSound, Mend, String); 4] = [
        (
            state::FILE,
            state::is_sound,
            Mend::SetAside,
            format!(
                "in which rooms you are is not known any longer: enter them again with /join{}",
                rooms_with_logs(folder, user)
            ),
        ),
        (
            INTRODUCTIONS_FILE,
            log::is_introductions,
            Mend::SetAside,
            "whose devices wrote what is in the logs comes again from the others".to_owned(),
        ),
        // Whoever reads these sets them aside, and tells what is left.
        (
            state::people::FILE,
            state::people::is_sound,
            Mend::Nothing,
            "whom you have met and trusted is not known any longer: compare anew with /verify".to_owned(),
        ),
        (
            credentials::REVOKED,
            credentials::is_revoked,
            Mend::Nothing,
            "what of it is gone comes again from the registry".to_owned(),
        ),
    ];
    for (name, is_sound, mend, then) in content {
        let path = folder.join(name);
        if is_whole(name) && read(&path).is_some_and(|bytes| !is_sound(&bytes)) {
            let fault = fault(path, "it is damaged".to_owned(), &then);
            found.push(Fault { mend, ..fault });
        }
    }
    for Shelved { conversation, folder } in log::shelved(&RealDisk, folder, user).unwrap_or_default() {
        for (name, what, is_damage) in log::files_at_fault(&RealDisk, &folder) {
            let path = folder.join(name);
            found.push(match is_damage {
                true => fault(path, what.to_owned(), "what was in it comes again from the others"),
                false => left(path, what, "nothing is to be done", false),
            });
        }
        found.extend(invitation(&conversation, folder.join("invitation")));
        found.extend(earlier(own, &folder));
    }
    faults.extend(found);
    if own == folder {
        faults.extend(registries(data));
    }
    // Of what can be listed.
    for Misplaced { folder, kind } in log::misplaced(&RealDisk, folder, user, decode).unwrap_or_default() {
        faults.push(of_folder(folder, &kind, user));
    }
    faults
}

/// What is in a file; of one that is too long as much as shows that.
fn read(path: &Path) -> Option<Vec<u8>> {
    RealDisk.read_small(path, CONTENT_BYTES_MAX).ok().flatten()
}

/// Names the rooms of which there are logs.
fn rooms_with_logs(folder: &Path, user: &UserName) -> String {
    let shelved = log::shelved(&RealDisk, folder, user).unwrap_or_default();
    let rooms = shelved
        .iter()
        .filter(|one| matches!(one.conversation, Conversation::Room(_)));
    let rooms: Vec<String> = rooms.map(|one| one.conversation.label(user)).collect();
    match rooms.is_empty() {
        true => String::new(),
        false => format!(" (there are logs of {})", rooms.join(", ")),
    }
}

/// Puts right and sets aside what is not what it should be, and says what the user must know of it. That something cannot be mended is said as
/// well, and keeps nobody from starting.
pub fn mend(data: &Path, own: &Path, folder: &Path, user: &UserName, decode: Decode) -> Vec<Notice> {
    // What keeps folders from being looked into goes first.
    let faults = kinds(data, folder).into_iter();
    let mut notices: Vec<Notice> = faults.filter_map(mend_one).collect();
    let placed = log::misplaced(&RealDisk, folder, user, decode)
        .and_then(|found| log::put_in_place(&RealDisk, folder, user, &found).map(|()| found));
    match placed {
        Ok(found) => {
            let faults = found
                .into_iter()
                .map(|Misplaced { folder, kind }| of_folder(folder, &kind, user));
            let mended = faults.filter(|fault| fault.mend == Mend::PutInPlace);
            notices.extend(mended.map(|fault| notice(&fault, "it was put right")));
        }
        Err(error) => notices.push(Notice {
            code: Code::LogDamaged,
            message: format!("a conversation's folder cannot be put right: {error}"),
        }),
    }
    notices.extend(look(data, own, folder, user, decode).into_iter().filter_map(mend_one));
    notices
}

fn mend_one(fault: Fault) -> Option<Notice> {
    match fault.mend {
        Mend::Nothing | Mend::PutInPlace => None,
        Mend::SetAside => Some(match set_aside(&fault.path) {
            Ok(aside) => notice(&fault, &format!("it was set aside as {}", aside.display())),
            Err(error) => notice(&fault, &error.to_string()),
        }),
    }
}

fn notice(fault: &Fault, done: &str) -> Notice {
    let Fault {
        path, what, then, code, ..
    } = fault;
    Notice {
        code: *code,
        message: format!("{}: {what}; {done}; {then}", path.display()),
    }
}

fn fault(path: PathBuf, what: String, then: &str) -> Fault {
    let code = match path.ends_with(state::people::FILE) || path.ends_with(credentials::REVOKED) {
        true => Code::TrustLost,
        false => Code::LogDamaged,
    };
    Fault {
        path,
        what,
        then: then.to_owned(),
        code,
        mend: Mend::SetAside,
        is_damage: true,
    }
}

/// One that is left to the user.
fn left(path: PathBuf, what: &str, then: &str, is_damage: bool) -> Fault {
    Fault {
        mend: Mend::Nothing,
        is_damage,
        ..fault(path, what.to_owned(), then)
    }
}

/// Renames a file or folder to a name that nobody reads. One that lies there already stays.
fn set_aside(path: &Path) -> Result<PathBuf, IoError> {
    let mut number = 1;
    let aside = loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".set-aside-{number}"));
        let aside = path.with_file_name(name);
        if fs::symlink_metadata(&aside).is_err() {
            break aside;
        }
        number += 1;
    };
    fs::rename(path, &aside).map_err(|source| IoError::new(path, "set aside", source))?;
    Ok(aside)
}

/// The registries that this machine's peers have met. Of a file that cannot be read nothing is believed: the next one that is met is asked about.
fn registries(data: &Path) -> Vec<Fault> {
    let known = KnownRegistries::in_folder(data);
    let path = known.path().to_owned();
    match read(&path).map(|bytes| KnownRegistries::lines_that_are_none(&bytes)) {
        Some(None) => vec![fault(
            path,
            "it is damaged".to_owned(),
            "whether a registry is the one that was met before is asked at the next start",
        )],
        Some(Some(lines)) if !lines.is_empty() => {
            let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
            let what = format!("line {} cannot be read and is passed over", lines.join(", "));
            vec![left(path, &what, "mend or remove it", true)]
        }
        _ => Vec::new(),
    }
}

/// The invitation of a private room. It stays where it is: a start says that the room cannot be entered.
fn invitation(conversation: &Conversation, path: PathBuf) -> Option<Fault> {
    let Conversation::Room(room) = conversation else {
        return None;
    };
    if fs::symlink_metadata(&path).is_err() {
        return None;
    }
    let text = String::from_utf8(read(&path).unwrap_or_default()).unwrap_or_default();
    let is_good = Invitation::read(text.trim_end()).is_ok_and(|invitation| invitation.room() == *room);
    let then = "join the room with a new invitation";
    (!is_good && room.id().is_some()).then(|| left(path, "it is damaged, or another room's", then, true))
}

/// What names the logs that were taken along.
fn earlier(own: &Path, folder: &Path) -> Option<Fault> {
    let path = folder.join(EARLIER_FILE);
    if !log::is_earlier(&read(&path)?) {
        let then =
            "what was taken along from another authority is not shown: take it along again with `peerchat adopt`";
        return Some(fault(path, "it is damaged".to_owned(), then));
    }
    let named = log::read_earlier(&RealDisk, folder).ok()?;
    let gone = named
        .into_iter()
        .find(|authority| matches!(places::find(own, *authority), Ok(None)))?;
    let what = format!("it names the authority {gone}, of which nothing is here any longer");
    let then = "put the folder of that authority back, or remove this file";
    Some(left(path, &what, then, true))
}

fn of_folder(folder: PathBuf, kind: &MisplacedKind, user: &UserName) -> Fault {
    let title = |conversation: &Conversation| conversation.label(user);
    let (what, then, mend) = match kind {
        MisplacedKind::Name(of) => (
            format!(
                "its file {NAME_FILE} is damaged, missing or another one's; all else says that it is {}",
                title(of)
            ),
            "nothing is to be done",
            Mend::PutInPlace,
        ),
        MisplacedKind::Elsewhere(of) => (
            format!("what is in it is {}", title(of)),
            "nothing is to be done",
            Mend::PutInPlace,
        ),
        MisplacedKind::Copy(of) => (
            format!(
                "what is in it is {}, which has its own folder; it is passed over",
                title(of)
            ),
            "remove it, or move it elsewhere",
            Mend::Nothing,
        ),
        MisplacedKind::Unknown => (
            format!(
                "its file {NAME_FILE} is damaged or missing, and nothing else tells whose it is; it is passed over"
            ),
            "write the name of the room, or of the other user, into that file, or remove the folder",
            Mend::Nothing,
        ),
    };
    Fault {
        path: folder,
        what,
        then: then.to_owned(),
        code: Code::LogDamaged,
        mend,
        is_damage: !matches!(kind, MisplacedKind::Copy(_)),
    }
}
