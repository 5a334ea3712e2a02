//! `peerchat verify`: whether all that is on disk is sound.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use super::{
    InspectError,
    proofs::{self, Proofs},
    which,
};
use crate::{
    checkup::{self, Fault},
    config::LogConfig,
    credentials,
    folder::places::Place,
    log::{self, LOG_FILE, RealDisk, SetAside, Shelved, Verified},
    net::convert::decode_entry,
    node::{
        Millis,
        holdback::Held,
        replica::Replica,
        types::{DeviceId, Heights, UserName},
    },
    seal::{DeviceJudge, Judge},
};

/// Checks every log of a user: frames, chains, order, heights, the rules by which entries are taken in, and the seals that prove to
/// others whose they are. Says of each what it holds, and of all what the first damage is.
///
/// # Errors
/// There is no such user, a log cannot be read, one is damaged, or entries that it lacks wait in a file that was set aside; the others
/// are checked all the same.
pub fn verify(config: &LogConfig, out: &mut dyn Write) -> Result<(), InspectError> {
    verify_by(config, &by_certificate, out)
}

/// What vouches for the devices of a folder: the authority whose certificate is there.
fn by_certificate(place: &Path) -> Result<DeviceJudge, InspectError> {
    let authority = credentials::authority(place)?;
    Ok(DeviceJudge::new(move |der| {
        credentials::introduced(authority.as_ref(), der)
    }))
}

type Judging = dyn Fn(&Path) -> Result<DeviceJudge, InspectError>;

pub(super) fn verify_by(config: &LogConfig, judging: &Judging, out: &mut dyn Write) -> Result<(), InspectError> {
    let user = which::existing(config)?;
    let places = which::all(config)?;
    let mut first = None;
    let faults = |folder: &Path, out: &mut dyn Write| -> io::Result<Option<InspectError>> {
        let mut first = None;
        for fault in checkup::look(&config.data, &user, folder, &config.user, decode_entry) {
            let Fault { path, what, then, .. } = &fault;
            writeln!(out, "{}  {what}; {then}", path.display())?;
            if fault.is_damage() {
                first = first.or(Some(InspectError::Fault(fault)));
            }
        }
        Ok(first)
    };
    if places.is_empty() {
        first = faults(&user, out)?;
    }
    for place in &places {
        if places.len() > 1 {
            writeln!(out, "under {}", place.authority)?;
        }
        let wrong = faults(&place.folder, out)?;
        first = first.or(wrong);
        let wrong = verify_place(config, place, &judging(&place.folder)?, out)?;
        first = first.or(wrong);
    }
    first.map_or(Ok(()), Err)
}

/// Checks every log under one authority. Answers the first damage.
fn verify_place(
    config: &LogConfig,
    place: &Place,
    judge: &dyn Judge,
    out: &mut dyn Write,
) -> Result<Option<InspectError>, InspectError> {
    let introduced = proofs::introduced(&place.folder, judge).unwrap_or_default();
    let mut first = None;
    for shelved in log::shelved(&RealDisk, &place.folder, &config.user)? {
        let title = shelved.conversation.title(&config.user);
        let replica = Replica::new(shelved.conversation.clone(), Some(place.authority));
        match verify_one(&shelved, &title, replica, &introduced, judge) {
            Ok((Verified { heights, bytes, torn }, sealed)) => {
                let (version, authors) = (heights.version(), heights.0.len());
                let tail = match torn {
                    0 => String::new(),
                    torn => format!("  and {torn} bytes of a write that was not finished"),
                };
                writeln!(
                    out,
                    "{title}  ok  version {version}  authors {authors}  {bytes} bytes{tail}  sealed {sealed}"
                )?;
                let waits = verify_aside(&shelved, &title, &heights, out)?;
                first = first.or(waits);
            }
            Err(error) => {
                let what = error.to_string();
                let what = what.strip_prefix(&format!("{title}: ")).unwrap_or(&what);
                writeln!(out, "{title}  damaged: {what}")?;
                first = first.or(Some(error));
            }
        }
    }
    Ok(first)
}

/// Says of each file that was set aside what it holds that the log lacks. The first one that holds anything is an error: the conversation is
/// not whole.
fn verify_aside(
    shelved: &Shelved,
    title: &str,
    heights: &Heights,
    out: &mut dyn Write,
) -> Result<Option<InspectError>, InspectError> {
    let mut first = None;
    let files = log::look_aside(&RealDisk, &shelved.folder, decode_entry, &shelved.conversation, heights)?;
    for SetAside {
        path,
        frames,
        misplaced,
        ..
    } in files
    {
        let file = path.display();
        if misplaced > 0 {
            writeln!(
                out,
                "{title}  not of it: {misplaced} entries in {file} are of another conversation; remove the file if that has them"
            )?;
        }
        match frames {
            None => writeln!(out, "{title}  nothing in {file} can be read, since its header is gone")?,
            Some(0) if misplaced > 0 => {}
            Some(0) => writeln!(out, "{title}  all of {file} is in the log; the next start removes it")?,
            Some(entries) => {
                writeln!(out, "{title}  waiting: {entries} entries in {file} are not in the log")?;
                let title = title.to_owned();
                first.get_or_insert(InspectError::SetAside { title, path, entries });
            }
        }
    }
    Ok(first)
}

/// What a log holds, and how much of that is proved.
fn verify_one(
    shelved: &Shelved,
    title: &str,
    mut replica: Replica,
    introduced: &BTreeMap<DeviceId, UserName>,
    judge: &dyn Judge,
) -> Result<(Verified, u64), InspectError> {
    let place = (&shelved.conversation, shelved.folder.as_path());
    let proofs = Proofs::read(title, place, introduced, judge);
    let title = || title.to_owned();
    let unreadable = |source| InspectError::Log {
        title: title(),
        source: Box::new(source),
    };
    let mut proofs = proofs.map_err(unreadable)?;
    let forked = log::read_forked(&RealDisk, &shelved.folder);
    replica.load_forked(forked.map_err(|error| unreadable(error.into()))?);
    let mut wrong = None;
    let read = log::verify(&RealDisk, &shelved.folder, decode_entry, |entry, offset| {
        if wrong.is_some() {
            return;
        }
        if entry.conversation != shelved.conversation {
            let (title, id) = (title(), entry.id);
            wrong = Some(InspectError::Misplaced { title, id });
            return;
        }
        proofs.check(&entry, offset);
        let offered = replica.offer(Held {
            entry: Arc::new(entry),
            from: None,
            live: false,
            since: Millis::default(),
            seal: None,
        });
        wrong = offered
            .refused
            .into_iter()
            .next()
            .map(|(_, refusal)| InspectError::Refused {
                title: title(),
                path: shelved.folder.join(LOG_FILE),
                offset,
                source: Box::new(refusal),
            });
    });
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let verified = read.map_err(unreadable)?;
    let sealed = proofs.finish(&verified.heights)?;
    Ok((verified, sealed))
}
