//! Which files of the machine are open.
//!
//! A conversation has three files, strangers may begin a thousand conversations, and a process may often have no more than a thousand files
//! open. So a file is opened when it is needed, a bounded number of those that are not in use stay open, and the one that was used the longest
//! ago is closed first. Where the system opens no further one, those that are not in use are closed and it is tried again, for a while: others
//! close theirs. A file that is opened again must be the one that it was: where its name is gone or another file's, that is an error.
//!
//! A file that was written since its last sync stays open beyond the bound: the system tells of a write that failed to whoever has the file open.
//! Only where no other one is left to be closed it is synced and closed, and a failure of that sync is kept for the next one.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use peerchat_identity::open_files;
use rustix::io::Errno;

/// So many files stay open, where the process may have enough of them.
const OPEN_MAX: u64 = 256;
/// And so many where it may have few.
const OPEN_MIN: u64 = 16;
/// Of what the process may have open this part is for these files; the rest is for connections.
const SHARE: u64 = 8;
/// How often it is tried to open a file where the system opens no further one, and how long it is waited between two times.
const TRIES: u32 = 500;
const WAIT: Duration = Duration::from_millis(20);

/// Files that are opened when they are needed.
#[derive(Debug)]
pub(super) struct Pool {
    open_max: usize,
    /// Counts uses.
    clock: AtomicU64,
    /// Those that may be open.
    open: Mutex<Vec<Weak<Pooled>>>,
}

/// A file that is opened when it is needed.
#[derive(Debug)]
pub(super) struct Pooled {
    pool: &'static Pool,
    path: PathBuf,
    place: Place,
    used: AtomicU64,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    file: Option<Arc<File>>,
    /// It was written since it was synced.
    is_dirty: bool,
    /// A sync before it was closed failed so.
    failed: Option<String>,
}

/// What tells a file from every other one that is there at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
}

impl Place {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
        }
    }
}

impl Pool {
    pub(super) const fn new(open_max: usize) -> Self {
        Self {
            open_max,
            clock: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        }
    }

    /// The one of this process.
    pub(super) fn of_process() -> &'static Self {
        static POOL: OnceLock<Pool> = OnceLock::new();
        POOL.get_or_init(|| {
            let share = open_files::limit().map_or(OPEN_MAX, |limit| (limit / SHARE).clamp(OPEN_MIN, OPEN_MAX));
            Self::new(usize::try_from(share).unwrap_or(usize::MAX))
        })
    }

    /// Opens a file for the first time.
    pub(super) fn open(
        &'static self,
        path: &Path,
        open: impl Fn(&Path) -> io::Result<File>,
    ) -> io::Result<Arc<Pooled>> {
        let file = self.with_room(|| open(path))?;
        let pooled = Arc::new(Pooled {
            pool: self,
            path: path.to_owned(),
            place: Place::of(&file.metadata()?),
            used: AtomicU64::new(self.tick()),
            slot: Mutex::new(Slot {
                file: Some(Arc::new(file)),
                is_dirty: false,
                failed: None,
            }),
        });
        self.admit(&pooled);
        Ok(pooled)
    }

    /// Does what opens a file, and makes room for it where the process or the system has as many as it may.
    #[expect(
        clippy::disallowed_methods,
        reason = "the system tells nobody when a file may be opened again, and the log has no other thread"
    )]
    pub(super) fn with_room<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mut tries = 0;
        loop {
            match open() {
                Err(error) if is_too_many(&error) && tries < TRIES => {
                    tries += 1;
                    if !self.close_some() {
                        thread::sleep(WAIT);
                    }
                }
                done => return done,
            }
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Pooled>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a file that was opened, and closes another one where that is one too many.
    fn admit(&self, pooled: &Arc<Pooled>) {
        let mut open = self.all();
        if open.len() >= self.open_max {
            open.retain(|one| one.upgrade().is_some_and(|one| !one.is_closed()));
        }
        if open.len() >= self.open_max {
            let mut by_use: Vec<_> = open.iter().filter_map(Weak::upgrade).collect();
            by_use.sort_by_key(|one| one.used.load(Ordering::Relaxed));
            let mut more = open.len() + 1 - self.open_max;
            for one in by_use {
                if more == 0 {
                    break;
                }
                more -= usize::from(one.close(false));
            }
        }
        open.push(Arc::downgrade(pooled));
    }

    /// Closes what is not in use; false where there is nothing of that kind.
    fn close_some(&self) -> bool {
        let open: Vec<_> = self.all().iter().filter_map(Weak::upgrade).collect();
        let closed = open.iter().filter(|one| one.close(false)).count();
        closed > 0 || open.iter().any(|one| one.close(true))
    }
}

impl Pooled {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file, to be used and let go.
    pub(super) fn file(self: &Arc<Self>) -> io::Result<Arc<File>> {
        self.file_in(&mut self.slot())
    }

    /// The same, to be written to.
    pub(super) fn file_to_write(self: &Arc<Self>) -> io::Result<Arc<File>> {
        let mut slot = self.slot();
        slot.is_dirty = true;
        self.file_in(&mut slot)
    }

    fn file_in(self: &Arc<Self>, slot: &mut Slot) -> io::Result<Arc<File>> {
        self.used.store(self.pool.tick(), Ordering::Relaxed);
        if let Some(file) = &slot.file {
            return Ok(Arc::clone(file));
        }
        let open = || File::options().read(true).write(true).open(&self.path);
        let file = self.pool.with_room(open).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => gone(),
            _ => error,
        })?;
        if Place::of(&file.metadata()?) != self.place {
            return Err(gone());
        }
        let file = Arc::new(file);
        slot.file = Some(Arc::clone(&file));
        self.pool.admit(self);
        Ok(file)
    }

    /// Syncs the file, and sees to it that it is where it was: what is written to a file without a name is gone when the process ends.
    pub(super) fn sync(self: &Arc<Self>) -> io::Result<()> {
        let file = {
            let mut slot = self.slot();
            if let Some(failed) = &slot.failed {
                return Err(io::Error::other(failed.clone()));
            }
            let file = self.file_in(&mut slot)?;
            // What is written from now on needs another one.
            slot.is_dirty = false;
            file
        };
        let synced = file.sync_all();
        if let Err(error) = &synced {
            self.slot().failed = Some(error.to_string());
        }
        synced.and_then(|()| self.check_place())
    }

    /// An error where another file, or none, has the name that this one had when it was opened.
    pub(super) fn check_place(&self) -> io::Result<()> {
        match std::fs::metadata(&self.path) {
            Ok(meta) if Place::of(&meta) == self.place => Ok(()),
            Ok(_) => Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(error),
        }
    }

    fn is_closed(&self) -> bool {
        self.slot.try_lock().is_ok_and(|slot| slot.file.is_none())
    }

    /// Closes the file if nobody uses it. One that was written is synced before, if it may be closed at all. Whether it was closed.
    fn close(&self, also_dirty: bool) -> bool {
        // Who holds the lock is about to use it.
        let Ok(mut slot) = self.slot.try_lock() else {
            return false;
        };
        let Some(file) = slot.file.take_if(|file| Arc::strong_count(file) == 1) else {
            return false;
        };
        if slot.is_dirty && !also_dirty {
            slot.file = Some(file);
            return false;
        }
        if slot.is_dirty {
            slot.failed = slot
                .failed
                .take()
                .or(file.sync_all().err().map(|error| error.to_string()));
            slot.is_dirty = false;
        }
        true
    }
}

/// Whether the process or the system has as many open files as it may.
fn is_too_many(error: &io::Error) -> bool {
    let limits = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| limits.contains(&error))
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "it is no longer where it was; put its folder back in its place",
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt as _};

    use super::*;

    fn pool(open_max: usize) -> &'static Pool {
        Box::leak(Box::new(Pool::new(open_max)))
    }

    fn make(path: &Path) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }

    fn is_open(file: &Pooled) -> bool {
        file.slot().file.is_some()
    }

    #[test]
    fn no_more_files_than_the_limit_stay_open_and_each_can_be_used() {
        let (folder, pool) = (tempfile::tempdir().unwrap(), pool(4));
        let files: Vec<_> = (0..20)
            .map(|n| pool.open(&folder.path().join(n.to_string()), make).unwrap())
            .collect();
        for round in 0..3 {
            for (n, file) in files.iter().enumerate() {
                file.file_to_write()
                    .unwrap()
                    .write_all_at(&[n as u8 + round], 0)
                    .unwrap();
                file.sync().unwrap();
                assert!(files.iter().filter(|file| is_open(file)).count() <= 4);
            }
        }
        for (n, file) in files.iter().enumerate() {
            let mut byte = [0];
            file.file().unwrap().read_exact_at(&mut byte, 0).unwrap();
            assert_eq!(byte[0], n as u8 + 2);
        }
        assert!(is_open(&files[19]) && !is_open(&files[0]), "the one used last stays");
    }

    #[test]
    fn what_was_written_stays_open_until_it_is_synced_unless_no_other_one_is_left() {
        let (folder, pool) = (tempfile::tempdir().unwrap(), pool(2));
        let open = |name: &str| pool.open(&folder.path().join(name), make).unwrap();
        let files = ["a", "b", "c"].map(open);
        for file in &files {
            file.file_to_write().unwrap().write_all_at(b"x", 0).unwrap();
        }
        let _more = ["d", "e"].map(open);
        assert!(files.iter().all(|file| is_open(file)));
        files[0].sync().unwrap();
        open("f");
        open("g");
        assert!(!is_open(&files[0]) && is_open(&files[1]));
        let in_use = files[1].file().unwrap();
        while pool.close_some() {}
        assert!(is_open(&files[1]) && !is_open(&files[2]));
        drop(in_use);
    }

    #[test]
    fn where_the_system_opens_no_further_file_others_are_closed_and_it_is_waited() {
        let (folder, pool) = (tempfile::tempdir().unwrap(), pool(8));
        let held = pool.open(&folder.path().join("a"), make).unwrap();
        let tries = AtomicU64::new(0);
        let opened = pool.with_room(|| match tries.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(Errno::MFILE.into()),
            3 => Err(Errno::NFILE.into()),
            _ => Ok(()),
        });
        opened.unwrap();
        assert!(!is_open(&held));
        let other = pool.with_room(|| Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied)));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_whose_name_is_gone_or_anothers_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for is_closed in [false, true] {
            let path = folder.path().join("log");
            let file = pool(2).open(&path, make).unwrap();
            file.check_place().unwrap();
            fs::rename(&path, folder.path().join("elsewhere")).unwrap();
            if is_closed {
                assert!(file.close(true));
            }
            for content in [None, Some("another file")] {
                if let Some(content) = content {
                    fs::write(&path, content).unwrap();
                }
                let told = [file.check_place(), file.sync()].map(|result| result.unwrap_err().to_string());
                assert!(
                    told.iter().all(|told| told.contains("no longer where it was")),
                    "{told:?}"
                );
            }
            fs::remove_file(&path).unwrap();
        }
    }
}
