//! Files where folders should be, folders where files should be, and what cannot be read.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Fault, Mend, fault};
use crate::{
    credentials,
    folder::places,
    known_registries::KnownRegistries,
    log::{EARLIER_FILE, INTRODUCTIONS_FILE, LOG_FILE, NAME_FILE, SEALS_FILE},
    state,
};

/// What lies in a user's folder and is a file.
const FILES: [&str; 10] = [
    credentials::KEY,
    credentials::CERTIFICATE,
    places::AUTHORITY_CERTIFICATE,
    credentials::REVOKED,
    state::FILE,
    state::people::FILE,
    INTRODUCTIONS_FILE,
    "resume",
    "input-history",
    "lock",
];
/// What lies there and is a folder.
const FOLDERS: [&str; 3] = ["rooms", "direct", "proofs"];
/// The files of a conversation.
const OF_CONVERSATION: [&str; 9] = [
    NAME_FILE,
    LOG_FILE,
    "index",
    SEALS_FILE,
    "resume",
    "forked",
    "invitation",
    "begun",
    EARLIER_FILE,
];

/// Each of them in a user's folder below `data`.
pub(super) fn kinds(data: &Path, folder: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut files = used(folder, &FILES);
    files.push(KnownRegistries::in_folder(data).path().to_owned());
    for name in FOLDERS {
        let path = folder.join(name);
        match fs::read_dir(&path) {
            Ok(inside) if name != "proofs" => {
                let inside = inside
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| path.is_dir());
                files.extend(inside.flat_map(|inside| used(&inside, &OF_CONVERSATION)));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let then =
                    "what was in it comes again from the others; if it is elsewhere, put it back while no peer runs";
                faults.push(fault(path, format!("it cannot be used as a folder ({error})"), then));
            }
        }
    }
    for path in files {
        let what = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => "it is a folder, and should be a file".to_owned(),
            Ok(found) if !found.is_file() => "it is no file".to_owned(),
            Ok(_) => match File::open(&path) {
                Err(error) => format!("it cannot be read ({error})"),
                Ok(_) => continue,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => format!("it cannot be used ({error})"),
        };
        // Whoever may not read it must not be given another key for it.
        let is_key = path.ends_with(credentials::KEY) && path.is_file();
        let mut fault = fault(
            path,
            what,
            "what was in it is made anew, or comes again from the others",
        );
        if is_key {
            fault.mend = Mend::Nothing;
            fault.then = "let its owner alone read and write it (chmod 600)".to_owned();
        }
        faults.push(fault);
    }
    faults
}

/// What lies in a folder under a name that a peer uses: one of these, or one that has a part that changes.
fn used(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let is_used = |name: &str| {
        let changing = name.starts_with("log.damaged-") || name.starts_with("contradiction-") || name.ends_with(".tmp");
        names.contains(&name) || (changing && !name.contains(".set-aside-"))
    };
    let listed = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    listed
        .filter(|entry| entry.file_name().to_str().is_some_and(is_used))
        .map(|entry| entry.path())
        .collect()
}
