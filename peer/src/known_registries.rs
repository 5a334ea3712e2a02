//! The registries that this machine's peers have met: one line each in `<data>/known_registries`, as ssh keeps its hosts.
//!
//! `HOST:PORT SHA256:… [FOLDER]`: where it is, the fingerprint of its authority, and, where a peer of this machine hosted it, the
//! folder in which it keeps its authority and accounts, so that another peer can go on with them.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use peerchat_identity::Fingerprint;

const FILE: &str = "known_registries";
/// Many more registries than anybody meets.
const BYTES_MAX: u64 = 1024 * 1024;

/// A registry that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRegistry {
    /// Of its authority.
    pub fingerprint: Fingerprint,
    /// Where a registry that is hosted by a peer keeps its authority and accounts.
    pub folder: Option<PathBuf>,
}

/// The folder of a registry that a peer hosted, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostFolder {
    /// No peer of this machine hosted it.
    Nobodys,
    /// It is here.
    There(PathBuf),
    /// It was here, and is no longer.
    Gone,
    /// It cannot be told what is here: it is another user's of the machine, or no folder.
    Unusable(PathBuf),
}

impl KnownRegistry {
    /// Looks at the folder of its host.
    pub fn host_folder(&self) -> HostFolder {
        let Some(folder) = self.folder.clone() else {
            return HostFolder::Nobodys;
        };
        match fs::metadata(&folder) {
            Ok(found) if found.is_dir() => HostFolder::There(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HostFolder::Gone,
            Ok(_) | Err(_) => HostFolder::Unusable(folder),
        }
    }
}

/// The file.
#[derive(Debug, Clone)]
pub struct KnownRegistries {
    path: PathBuf,
}

impl KnownRegistries {
    /// The file in the data folder `data`, whether it is there or not.
    pub fn in_folder(data: &Path) -> Self {
        Self { path: data.join(FILE) }
    }

    /// Where the file is, to be named in what a user reads.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the registry at `address` (HOST:PORT). A line that cannot be read is passed over.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn find(&self, address: &str) -> io::Result<Option<KnownRegistry>> {
        Ok(self.lines()?.iter().rev().find_map(|line| parse(line, address)))
    }

    /// Where the registries are that were met with an authority's fingerprint.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn addresses_of(&self, fingerprint: &str) -> io::Result<Vec<String>> {
        let is_its = |line: &String| {
            let mut words = line.split(' ');
            let address = words.next()?.to_owned();
            (words.next()? == fingerprint).then_some(address)
        };
        Ok(self.lines()?.iter().filter_map(is_its).collect())
    }

    /// Keeps what is known of the registry at `address` from now on.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep(&self, address: &str, known: &KnownRegistry) -> io::Result<()> {
        // One at a time of this process: on a slow disk the next one comes before the last one has ended.
        static KEEPING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(address)?.as_ref() == Some(known) {
            return Ok(());
        }
        let mut text = String::new();
        for line in self.lines()?.iter().filter(|line| parse(line, address).is_none()) {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&format!("{address} {}", known.fingerprint));
        // A folder whose name is no line of text is remembered by nobody but the process that made it.
        if let Some(folder) = known
            .folder
            .as_deref()
            .and_then(Path::to_str)
            .filter(|folder| !folder.contains('\n'))
        {
            text.push_str(&format!(" {folder}"));
        }
        text.push('\n');
        // Written beside and renamed: other peers of this machine read it at any time.
        let next = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = fs::File::create(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &self.path)
    }

    /// The numbers of the lines that tell of no registry; none where the bytes are no list at all.
    pub fn lines_that_are_none(bytes: &[u8]) -> Option<Vec<usize>> {
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.len() as u64 <= BYTES_MAX)?;
        let is_none = |line: &str| {
            let line = line.trim();
            let address = line.split(' ').next().unwrap_or_default();
            !line.is_empty() && !line.starts_with('#') && parse(line, address).is_none()
        };
        let lines = (1..).zip(text.lines()).filter(|(_, line)| is_none(line));
        Some(lines.map(|(number, _)| number).collect())
    }

    fn lines(&self) -> io::Result<Vec<String>> {
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() > BYTES_MAX => {
                let text = format!("{} is too long to be a list of registries", self.path.display());
                Err(io::Error::other(text))
            }
            Ok(_) => Ok(fs::read_to_string(&self.path)?.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn parse(line: &str, address: &str) -> Option<KnownRegistry> {
    let mut parts = line.trim().splitn(3, ' ');
    let (host, fingerprint) = (parts.next()?, parts.next()?);
    (host == address).then_some(())?;
    Some(KnownRegistry {
        fingerprint: fingerprint.parse().ok()?,
        folder: parts.next().map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(byte: char, folder: Option<&str>) -> KnownRegistry {
        KnownRegistry {
            fingerprint: format!("SHA256:{}", byte.to_string().repeat(42) + "A").parse().unwrap(),
            folder: folder.map(PathBuf::from),
        }
    }

    #[test]
    fn what_is_kept_is_found_and_what_others_wrote_stays() {
        let data = tempfile::tempdir().unwrap();
        let file = KnownRegistries::in_folder(data.path());
        assert_eq!(file.find("a:1").unwrap(), None);
        fs::write(file.path(), "# by hand\nb:1 no fingerprint\n").unwrap();
        file.keep("a:1", &known('A', None)).unwrap();
        file.keep("b:1", &known('B', Some("/my data/registry@b:1"))).unwrap();
        assert_eq!(file.find("a:1").unwrap(), Some(known('A', None)));
        assert_eq!(
            file.find("b:1").unwrap(),
            Some(known('B', Some("/my data/registry@b:1")))
        );
        file.keep("a:1", &known('C', None)).unwrap();
        assert_eq!(file.find("a:1").unwrap(), Some(known('C', None)));
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.starts_with("# by hand\n"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn of_many_that_are_kept_at_once_none_is_lost() {
        let data = tempfile::tempdir().unwrap();
        let file = KnownRegistries::in_folder(data.path());
        std::thread::scope(|scope| {
            for n in 0..16 {
                let file = &file;
                scope.spawn(move || file.keep(&format!("a:{n}"), &known('A', None)).unwrap());
            }
        });
        for n in 0..16 {
            assert_eq!(file.find(&format!("a:{n}")).unwrap(), Some(known('A', None)), "{n}");
        }
    }
}
