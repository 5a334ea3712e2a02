//! A crash, a failure, or a full disk at every operation of a workload.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Fault, Log, LogError, MemoryDisk, Resume,
    testing::{Workload, answer, author, decode, entry, folder, reopen},
};
use crate::node::types::{Author, Entry, Seq};

const SEEDS: u64 = 8;

/// What a workload was promised, and what it gave away.
#[derive(Debug, Default)]
struct Ledger {
    stored: Vec<Arc<Entry>>,
    durable: BTreeMap<Author, Seq>,
    /// The own author of the last run, and how many entries it may have shown to somebody.
    own: Option<(u64, u64)>,
}

impl Ledger {
    /// Opens, appends, syncs and closes, again and again, until something fails.
    fn work(&mut self, disk: &MemoryDisk, workload: &mut Workload) -> Result<(), LogError> {
        for run in 0..3 {
            let (mut log, opened) = Log::open(disk.clone(), folder(), decode)?;
            assert!(opened.damage.is_empty() && opened.salvaged.is_empty());
            let own = self.author(opened.resume.map(|resume| resume.incarnation));
            for round in 0..4 {
                // The own entry is decided before it is written, so it counts as used from here on.
                log.begin_authoring()?;
                let seq = log.heights().of(&author(own)).0 + 1;
                self.use_seq(own, seq);
                let mut entries = vec![entry(own, seq, log.heights().version() + 1)];
                entries.extend((0..round).map(|_| workload.next()));
                log.append(&entries)?;
                self.stored.extend(entries);
                if round % 2 == 1 {
                    let task = log.begin_sync().expect("there is something to sync");
                    let meanwhile = workload.next();
                    log.append(std::slice::from_ref(&meanwhile))?;
                    self.stored.push(meanwhile);
                    for (author, seq) in log.finish_sync(task.run())? {
                        assert!(self.durable.insert(author, seq) < Some(seq), "it grows");
                    }
                }
            }
            if run != 1 {
                let state = Vec::new();
                let heights = log.heights();
                log.close(Some(&Resume {
                    incarnation: own,
                    state,
                }))?;
                self.durable.extend(heights.0);
            }
        }
        Ok(())
    }

    /// The own incarnation: the one that the permit names, or a new one.
    fn author(&mut self, resumed: Option<u64>) -> u64 {
        let last = self.own.map_or(99, |(author, _)| author);
        match resumed {
            Some(incarnation) => {
                assert_eq!(incarnation, last, "only the last run's permit can hold");
                incarnation
            }
            None => {
                self.own = Some((last + 1, 0));
                last + 1
            }
        }
    }

    fn use_seq(&mut self, own: u64, seq: u64) {
        let (author, used) = self.own.unwrap_or_default();
        assert_eq!(author, own);
        assert!(seq > used, "seq {seq} of {own} was used before");
        self.own = Some((own, seq));
    }

    /// What must hold when the log is opened again.
    fn check(&mut self, disk: &MemoryDisk, everything: bool) -> Log<MemoryDisk> {
        let (log, opened) = reopen(disk);
        let heights = log.heights();
        for (author, seq) in &self.durable {
            assert!(heights.of(author) >= *seq, "durable entries of {author:?} are lost");
        }
        let by_id: BTreeMap<_, _> = log
            .canonical()
            .map(Result::unwrap)
            .map(|entry| (entry.id, entry))
            .collect();
        assert_eq!(by_id.len() as u64, log.version(), "no entry twice");
        assert_eq!(heights.version(), log.version(), "no gaps");
        if everything {
            assert!(opened.damage.is_empty(), "{:?}", opened.damage);
            for entry in &self.stored {
                assert!(by_id.contains_key(&entry.id), "{entry:?} was stored");
            }
        }
        // What was salvaged is at least not in the log already.
        assert!(opened.salvaged.iter().all(|entry| !by_id.contains_key(&entry.id)));
        if let Some(resume) = &opened.resume {
            let (own, used) = self.own.unwrap();
            assert_eq!(resume.incarnation, own);
            assert_eq!(
                heights.of(&author(own)),
                Seq(used),
                "whoever resumes has all that he wrote"
            );
        }
        log
    }
}

fn operations() -> u64 {
    let mut workload = Workload::new(0);
    let disk = workload.disk.clone();
    Ledger::default().work(&disk, &mut workload).unwrap();
    disk.operations()
}

/// Lets each operation fail with several seeds, then looks at what `after` makes of the disk.
fn at_every_operation(fault: Fault, after: impl Fn(&MemoryDisk, &mut Ledger, &mut Workload)) {
    for operation in 0..operations() {
        for seed in 0..SEEDS {
            let mut workload = Workload::new(seed);
            let disk = workload.disk.clone();
            disk.fail_at(operation, fault);
            let mut ledger = Ledger::default();
            let result = ledger.work(&disk, &mut workload);
            assert!(result.is_err(), "operation {operation} failed and nobody noticed");
            after(&disk, &mut ledger, &mut workload);
        }
    }
}

#[test]
fn a_kill_at_any_operation_loses_nothing_that_was_stored() {
    at_every_operation(Fault::Crash, |disk, ledger, _| {
        let disk = disk.kill();
        drop(ledger.check(&disk, true));
        drop(ledger.check(&disk.kill(), true));
    });
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_that_was_durable() {
    at_every_operation(Fault::Crash, |disk, ledger, _| {
        let disk = disk.power_loss();
        let held = ledger.check(&disk, false).heights();
        // Whatever open found is durable from then on.
        ledger.durable.extend(held.0);
        drop(ledger.check(&disk.power_loss(), false));
    });
}

#[test]
fn a_kill_and_then_a_power_loss() {
    at_every_operation(Fault::Crash, |disk, ledger, workload| {
        let disk = disk.kill();
        let log = ledger.check(&disk, true);
        ledger.durable.extend(log.heights().0);
        drop(ledger.check(&disk.power_loss(), true));
        workload.go_on_from(&log);
        drop(log);
        ledger.work(&disk, workload).unwrap();
        drop(ledger.check(&disk.power_loss(), true));
    });
}

#[test]
fn a_failed_operation_stops_the_log_and_loses_nothing() {
    at_every_operation(Fault::Error, |disk, ledger, _| {
        let held = ledger.check(disk, true).heights();
        ledger.durable.extend(held.0);
        drop(ledger.check(&disk.power_loss(), true));
    });
}

#[test]
fn a_crash_while_a_crash_is_mended() {
    let mut workload = Workload::new(5);
    let disk = workload.disk.clone();
    let mut ledger = Ledger::default();
    disk.fail_at(operations() * 2 / 3, Fault::Crash);
    ledger.work(&disk, &mut workload).unwrap_err();
    for seed in 0..50 {
        // Another image each time, since the randomness of the disk goes on.
        disk.random_steps(1);
        let image = disk.power_loss();
        let before = image.operations();
        for operation in before.. {
            let image = image.kill();
            image.fail_at(operation, Fault::Crash);
            let opened = Log::open(image.clone(), folder(), decode);
            drop(ledger.check(&image.kill(), false));
            drop(ledger.check(&image.power_loss(), false));
            if opened.is_ok() && !image.has_crashed() {
                break;
            }
            assert!(operation < before + 100, "seed {seed}: opening takes few operations");
        }
    }
}

#[test]
fn a_crash_while_damage_is_mended() {
    let mut workload = Workload::new(6);
    workload.log(12).close(None).unwrap();
    let path = folder().join("log");
    workload.disk.tamper(&path, |bytes| bytes[300] ^= 1);
    let start = workload.disk.operations();
    for operation in start.. {
        let disk = workload.disk.kill();
        disk.fail_at(operation, Fault::Crash);
        let opened = Log::open(disk.clone(), folder(), decode);
        for image in [disk.kill(), disk.power_loss()] {
            let (log, opened) = reopen(&image);
            assert_eq!(
                log.version() as usize + opened.salvaged.len(),
                11,
                "operation {operation}"
            );
        }
        if opened.is_ok() {
            assert!(operation > start + 5);
            break;
        }
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let full = {
        let mut workload = Workload::new(1);
        let disk = workload.disk.clone();
        Ledger::default().work(&disk, &mut workload).unwrap();
        disk.bytes()
    };
    for capacity in (0..full).step_by(5) {
        let mut workload = Workload::new(1);
        let disk = workload.disk.clone();
        disk.set_capacity(Some(capacity));
        let mut ledger = Ledger::default();
        match ledger.work(&disk, &mut workload) {
            Err(LogError::Io(error)) => assert!(error.is_disk_full(), "{error}"),
            other => panic!("{other:?}"),
        }
        disk.set_capacity(None);
        drop(ledger.check(&disk, true));
    }
}

#[test]
fn after_a_failure_the_log_takes_nothing_and_says_why() {
    for fail_sync in [true, false] {
        let disk = MemoryDisk::new(3);
        let (mut log, _) = reopen(&disk);
        log.append(&[entry(1, 1, 1)]).unwrap();
        disk.fail_at(disk.operations(), Fault::Error);
        let error = if fail_sync {
            log.sync().map(drop)
        } else {
            log.append(&[entry(1, 2, 2)])
        };
        assert!(matches!(error, Err(LogError::Io(_))));
        let error = log.append(&[entry(1, 2, 2)]).unwrap_err().to_string();
        assert!(
            error.contains("until it is opened anew") && error.contains("simulated failure"),
            "{error}"
        );
        assert!(log.begin_sync().is_none());
        assert!(matches!(log.sync(), Err(LogError::Failed { .. })));
        assert_eq!(log.read(&author(1), Seq(1)).unwrap().seq, Seq(1), "reading goes on");
        assert!(
            log.close(Some(&Resume {
                incarnation: 1,
                state: Vec::new()
            }))
            .is_err()
        );
        let (log, opened) = reopen(&disk);
        assert_eq!(opened.resume, None);
        assert!(log.version() >= 1);
        drop(log);
        assert!(
            reopen(&disk.power_loss()).0.version() >= 1,
            "what open found is durable"
        );
    }
}

#[test]
fn an_entry_that_breaks_a_rule_is_refused_and_the_log_goes_on() {
    let (mut log, _) = reopen(&MemoryDisk::new(0));
    let good = entry(1, 1, 5);
    let mut long = Entry::clone(&entry(1, 2, 6));
    long.bytes = vec![0; crate::node::limits::ENTRY_BYTES_MAX + 1].into();
    let cases = [
        (vec![entry(1, 2, 1)], "the next one of this author is 1"),
        (vec![good.clone(), good.clone()], "the next one of this author is 2"),
        (vec![good.clone(), entry(1, 2, 5)], "is not after 5"),
        (vec![good.clone(), answer(2, 1, 9, (1, 2))], "it comes after entry 2"),
        (vec![good.clone(), Arc::new(long)], "it must have 1 to"),
    ];
    for (entries, message) in cases {
        let error = log.append(&entries).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(log.version(), 0);
    }
    log.append(&[good, entry(1, 2, 6), answer(2, 1, 7, (1, 2))]).unwrap();
    assert_eq!(log.version(), 3);
}

#[test]
fn what_is_synced_is_told_once_and_by_author() {
    let (mut log, _) = reopen(&MemoryDisk::new(0));
    assert!(log.begin_sync().is_none(), "nothing to sync");
    log.append(&[entry(2, 1, 1), entry(1, 1, 2)]).unwrap();
    let task = log.begin_sync().unwrap();
    log.append(&[entry(1, 2, 3)]).unwrap();
    assert!(log.begin_sync().is_none(), "one at a time");
    let outcome = std::thread::spawn(|| task.run()).join().unwrap();
    assert_eq!(
        log.finish_sync(outcome).unwrap(),
        [(author(1), Seq(1)), (author(2), Seq(1))]
    );
    assert_eq!(log.durable_heights().version(), 2);
    let task = log.begin_sync().unwrap();
    assert_eq!(log.sync().unwrap(), [(author(1), Seq(2))]);
    assert!(log.finish_sync(task.run()).unwrap().is_empty(), "overtaken");
    assert_eq!(log.durable_heights(), log.heights());
}

/// A folder that is copied, restored in place, or restored beside must not resume.
#[test]
fn a_backup_does_not_resume() {
    use super::{RealDisk, disk::DiskFile as _};
    let root = tempfile::tempdir().unwrap();
    let (data, backup) = (root.path().join("data"), root.path().join("backup"));
    let permit = Resume {
        incarnation: 5,
        state: Vec::new(),
    };
    let open = |folder: &std::path::Path| Log::open(RealDisk, folder, decode).unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    let (mut log, _) = open(&data);
    log.append(&[entry(5, 1, 1)]).unwrap();
    log.close(Some(&permit)).unwrap();
    copy(&data, &backup);
    assert_eq!(open(&backup).1.resume, None, "a copy");
    std::fs::remove_dir_all(&backup).unwrap();
    copy(&data, &backup);
    let (log, opened) = open(&data);
    assert_eq!(opened.resume.as_ref(), Some(&permit));
    let mut log = log;
    log.append(&[entry(5, 2, 2)]).unwrap();
    log.close(Some(&permit)).unwrap();
    let closed = log_stamp(&data);
    // The clock of a file system may be coarse.
    while log_stamp(&data).changed <= closed.changed {
        copy(&backup, &data);
    }
    assert_eq!(log_stamp(&data).inode, closed.inode);
    assert_eq!(open(&data).1.resume, None, "restored in place");
    fn log_stamp(folder: &std::path::Path) -> super::Stamp {
        use super::disk::Disk as _;
        RealDisk.open(&folder.join("log")).unwrap().unwrap().stamp().unwrap()
    }
}
