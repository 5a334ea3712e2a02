//! What a user has under each authority is in a folder of its own.
//!
//! A name means something only under the authority that gave it. So conversations, rooms, the people that were met and the certificate
//! are never those of two authorities: the first one's are in the user's folder itself, those of any other one in
//! `authorities/<its first 32 hexadecimal digits>`. The file `authority` in each says whose it is, and only that is ever read back.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use peerchat_identity::Fingerprint;

use crate::{
    log::{Disk as _, IoError, LOG_FILE, RealDisk},
    node::{
        event::{Code, Notice},
        types::Authority,
    },
};

/// The file that says under which authority a folder is.
const AUTHORITY: &str = "authority";
/// The file that says under which one the user was last.
const LAST: &str = "authority-last";
/// The folder with those of further authorities.
const OTHERS: &str = "authorities";
/// Where a folder's content goes that was kept before there was a file `authority`.
const OLD: &str = "before-authorities";
/// What was kept then, beside the device's key.
const OLD_NAMES: [&str; 8] = [
    "rooms",
    "direct",
    "proofs",
    "introductions",
    "state.json",
    "people.json",
    "certificate.der",
    AUTHORITY_CERTIFICATE,
];
/// The certificate of the authority, beside that.
pub const AUTHORITY_CERTIFICATE: &str = "authority.der";
/// A fingerprint with a line end is shorter.
const BYTES_MAX: usize = 256;
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// How often a folder can be set aside.
const OLD_MAX: usize = 9;

/// What a user has under one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub authority: Authority,
    /// Where it is.
    pub folder: PathBuf,
}

/// All places of a user: his first one, then the others by their authorities.
///
/// # Errors
/// The disk refuses.
pub fn all(user: &Path) -> Result<Vec<Place>, IoError> {
    let others = user.join(OTHERS);
    let mut places = Vec::new();
    if let Some(authority) = read(user)? {
        let folder = user.to_owned();
        places.push(Place { authority, folder });
    }
    for name in RealDisk.list(&others)? {
        let folder = others.join(&name);
        let found = read(&folder)?;
        // A copy that somebody made beside it says the same.
        places.extend(
            found
                .filter(|found| name_of(*found) == name)
                .map(|authority| Place { authority, folder }),
        );
    }
    Ok(places)
}

/// Where a user has what is under an authority; none where nothing ever was.
///
/// # Errors
/// The disk refuses.
pub fn find(user: &Path, authority: Authority) -> Result<Option<PathBuf>, IoError> {
    let mut places = all(user)?.into_iter();
    Ok(places
        .find(|place| place.authority == authority)
        .map(|place| place.folder))
}

/// The same, which is made where it is not there: durably, since whatever is kept in it means nothing without.
///
/// # Errors
/// The disk refuses.
pub fn of(user: &Path, authority: Authority) -> Result<PathBuf, IoError> {
    // The certificate is kept on another thread.
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = find(user, authority)? {
        return Ok(there);
    }
    let folder = match read(user)? {
        None => user.to_owned(),
        Some(_) => {
            let others = user.join(OTHERS);
            RealDisk.create_folder(&others)?;
            let folder = others.join(name_of(authority));
            RealDisk.create_folder(&folder)?;
            folder
        }
    };
    write(&folder, authority)?;
    Ok(folder)
}

/// Under which authority the user was last; none where under none ever.
///
/// # Errors
/// The disk refuses.
pub fn last(user: &Path) -> Result<Option<Authority>, IoError> {
    let kept = RealDisk.read_small(&user.join(LAST), BYTES_MAX)?;
    match kept.and_then(|kept| parse(&kept)) {
        Some(last) => Ok(Some(last)),
        None => read(user),
    }
}

/// Remembers under which authority the user is.
///
/// # Errors
/// The disk refuses.
pub fn remember(user: &Path, authority: Authority) -> Result<(), IoError> {
    if last(user)? == Some(authority) {
        return Ok(());
    }
    RealDisk.replace(&user.join(LAST), format!("{authority}\n").as_bytes())
}

/// Writes the file that says under which authority a folder is anew where it is damaged, from the certificate beside it. Returns what the user
/// must know.
///
/// # Errors
/// The disk refuses.
pub fn mend(user: &Path) -> Result<Vec<Notice>, IoError> {
    let mut notices = Vec::new();
    for Place { authority, folder } in all(user)? {
        let path = folder.join(AUTHORITY);
        if RealDisk
            .read_small(&path, BYTES_MAX)
            .is_ok_and(|kept| kept.is_some_and(|kept| parse(&kept).is_some()))
        {
            continue;
        }
        if path.is_dir() {
            RealDisk.rename(&path, &folder.join("authority.set-aside"))?;
        }
        write(&folder, authority)?;
        notices.push(Notice {
            code: Code::LogDamaged,
            message: format!(
                "{}: it is damaged; it was written anew from {AUTHORITY_CERTIFICATE}; nothing is to be done",
                path.display()
            ),
        });
    }
    Ok(notices)
}

fn write(folder: &Path, authority: Authority) -> Result<(), IoError> {
    RealDisk.replace(&folder.join(AUTHORITY), format!("{authority}\n").as_bytes())
}

/// Sets aside what does not say under which authority it is, as earlier versions kept it: nobody can tell whose names it is about.
/// Returns where it is now, if there was anything.
///
/// # Errors
/// The disk refuses.
pub fn set_old_aside(user: &Path) -> Result<Option<PathBuf>, IoError> {
    if !is_old(user)? {
        return Ok(None);
    }
    let there = RealDisk.list(user)?;
    let mut names = std::iter::once(OLD.to_owned()).chain((2..=OLD_MAX).map(|n| format!("{OLD}-{n}")));
    let Some(free) = names.find(|name| !there.contains(name)) else {
        let full = std::io::Error::other(format!("there are {OLD_MAX} folders {OLD} already"));
        return Err(IoError::new(user, "set aside what is in", full));
    };
    let old = user.join(free);
    RealDisk.create_folder(&old)?;
    // What shows that there is something to set aside goes last.
    for name in OLD_NAMES
        .iter()
        .rev()
        .filter(|name| there.iter().any(|one| one == *name))
    {
        RealDisk.rename(&user.join(name), &old.join(name))?;
    }
    RealDisk.sync_folder(&old)?;
    RealDisk.sync_folder(user)?;
    Ok(Some(old))
}

/// Whether there is something that does not say under which authority it is.
///
/// # Errors
/// The disk refuses.
pub fn is_old(user: &Path) -> Result<bool, IoError> {
    Ok(read(user)?.is_none() && has_log(user)?)
}

fn has_log(user: &Path) -> Result<bool, IoError> {
    for kind in ["rooms", "direct"] {
        let folder = user.join(kind);
        for name in RealDisk.list(&folder)? {
            if RealDisk.list(&folder.join(name))?.iter().any(|file| file == LOG_FILE) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn name_of(authority: Authority) -> String {
    HEXLOWER.encode(&authority.0[..16])
}

/// Under which authority a folder is; none where nothing says so. Where the file is damaged, the certificate beside it tells.
fn read(folder: &Path) -> Result<Option<Authority>, IoError> {
    let path = folder.join(AUTHORITY);
    let kept = if path.is_dir() {
        Some(Vec::new())
    } else {
        RealDisk.read_small(&path, BYTES_MAX)?
    };
    let Some(bytes) = kept else { return Ok(None) };
    if let Some(authority) = parse(&bytes) {
        return Ok(Some(authority));
    }
    let certificate = RealDisk.read_small(&folder.join(AUTHORITY_CERTIFICATE), CERTIFICATE_BYTES_MAX)?;
    let found = certificate.map(|certificate| Fingerprint::of(&certificate.into()));
    Ok(found.map(|found| Authority(found.bytes())))
}

fn parse(bytes: &[u8]) -> Option<Authority> {
    Authority::parse(std::str::from_utf8(bytes).ok()?.trim_end())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: Authority = Authority([1; 32]);
    const OTHER: Authority = Authority([2; 32]);

    #[test]
    fn the_first_authority_has_the_users_folder_and_each_other_one_its_own() {
        let user = tempfile::tempdir().unwrap();
        let user = user.path();
        assert_eq!((all(user).unwrap(), last(user).unwrap()), (Vec::new(), None));
        assert_eq!(of(user, ONE).unwrap(), user);
        assert_eq!(last(user).unwrap(), Some(ONE));
        let other = of(user, OTHER).unwrap();
        assert_ne!(other, user);
        assert_eq!(
            (of(user, ONE).unwrap(), of(user, OTHER).unwrap()),
            (user.to_owned(), other.clone())
        );
        assert_eq!(find(user, Authority([3; 32])).unwrap(), None);
        remember(user, OTHER).unwrap();
        assert_eq!(last(user).unwrap(), Some(OTHER));
        let authorities: Vec<_> = all(user).unwrap().into_iter().map(|place| place.authority).collect();
        assert_eq!(authorities, [ONE, OTHER]);
        fs::create_dir(user.join(OTHERS).join("copy")).unwrap();
        fs::copy(other.join(AUTHORITY), user.join(OTHERS).join("copy").join(AUTHORITY)).unwrap();
        assert_eq!(all(user).unwrap().len(), 2, "a copy is no place");
    }

    #[test]
    fn a_damaged_file_is_made_good_by_the_certificate_beside_it_or_all_is_set_aside() {
        let user = tempfile::tempdir().unwrap();
        let user = user.path();
        let certificate = b"certificate".to_vec();
        let authority = Authority(Fingerprint::of(&certificate.clone().into()).bytes());
        of(user, authority).unwrap();
        fs::create_dir_all(user.join("rooms/lobby")).unwrap();
        fs::write(user.join("rooms/lobby/log"), "entries").unwrap();
        fs::write(user.join(AUTHORITY_CERTIFICATE), &certificate).unwrap();
        fs::write(user.join(AUTHORITY), "SHA256:nonsense\n").unwrap();
        assert_eq!(
            (find(user, authority).unwrap().as_deref(), set_old_aside(user).unwrap()),
            (Some(user), None)
        );
        fs::remove_file(user.join(AUTHORITY_CERTIFICATE)).unwrap();
        assert_eq!(find(user, authority).unwrap(), None);
        assert_eq!(set_old_aside(user).unwrap(), Some(user.join(OLD)));
        assert_eq!(of(user, ONE).unwrap(), user);
    }

    #[test]
    fn what_an_earlier_version_kept_is_set_aside_with_all_that_belongs_to_it() {
        let user = tempfile::tempdir().unwrap();
        let user = user.path();
        fs::write(user.join("device.key"), "key").unwrap();
        // An invitation alone is kept before any registry has let the device in.
        fs::create_dir_all(user.join("rooms/lobby")).unwrap();
        assert_eq!(set_old_aside(user).unwrap(), None);
        fs::write(user.join("rooms/lobby/log"), "entries").unwrap();
        fs::write(user.join("people.json"), "people").unwrap();
        let old = set_old_aside(user).unwrap().expect("something was there");
        assert_eq!(fs::read(old.join("rooms/lobby/log")).unwrap(), b"entries");
        assert!(old.join("people.json").exists() && user.join("device.key").exists());
        assert!(!user.join("rooms").exists() && !user.join("people.json").exists());
        assert_eq!(set_old_aside(user).unwrap(), None);
        of(user, ONE).unwrap();
        fs::create_dir_all(user.join("rooms/lobby")).unwrap();
        fs::write(user.join("rooms/lobby/log"), "entries").unwrap();
        assert_eq!(set_old_aside(user).unwrap(), None, "these are an authority's");
    }
}
