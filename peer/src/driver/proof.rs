//! What is kept of a device that contradicts itself.

use std::{fmt::Write as _, path::PathBuf};

use super::core::{Act, Core};
use crate::{
    log::{Disk, IoError, LogError},
    node::{
        Input,
        event::{Code, Event, Notice},
        sealing::Seal,
        types::{Author, Entry, Seq},
    },
};

/// The folder with the proofs, in the user's.
const FOLDER: &str = "proofs";
/// The most proofs that are kept. Of later ones the user is told, and no more.
const PROOFS_MAX: usize = 64;

impl<D: Disk> Core<D> {
    /// Compares an entry that came with what is held of its author. If they contradict one another, keeps both and tells the user, once.
    pub(super) fn compare(&self, entry: &Entry, live: bool, acts: &mut Vec<Act>) -> Result<(), LogError> {
        let Some(log) = self.log(&entry.conversation) else {
            return Ok(());
        };
        let height = log.height(&entry.author);
        // One that does not follow contradicts the one that is held before it.
        let held = log.read(&entry.author, entry.seq.min(height))?;
        let contradicts = match held.seq == entry.seq {
            true => held.id != entry.id,
            false => held.seq.next() == entry.seq && entry.previous != Some(held.id),
        };
        if !contradicts {
            return Ok(());
        }
        if live {
            acts.push(Act::Again(Input::Forked(
                entry.conversation.clone(),
                entry.author,
                entry.seq,
            )));
        }
        let (kept, news) = match self.keep_proof(&held, entry) {
            Ok(Some(path)) => (format!("both are in {}", path.display()), true),
            Ok(None) => ("there are too many proofs already to keep this one".into(), true),
            Err(Kept::Already) => (String::new(), false),
            Err(Kept::Not(error)) => (format!("they cannot be kept as a proof: {error}"), true),
        };
        if news {
            let message = self.contradiction(&held, &kept);
            let notice = Notice {
                code: Code::Fork,
                message,
            };
            acts.push(Act::Tell(Event::Notice(notice)));
        }
        Ok(())
    }

    fn contradiction(&self, held: &Entry, kept: &str) -> String {
        let Author { device, .. } = held.author;
        let title = held.conversation.label(&self.node().me().user);
        let talk = self.node().talks().get(&held.conversation);
        let author = talk.and_then(|talk| talk.replica.authors().get(&held.author));
        let user = author.map_or_else(|| "somebody".into(), |author| author.user.to_string());
        let seq = held.seq.0;
        format!(
            "{user} contradicts himself: device {device} wrote two different entries with number {seq} in {title}; the first one \
             stays, and {kept}"
        )
    }

    fn keep_proof(&self, held: &Entry, found: &Entry) -> Result<Option<PathBuf>, Kept> {
        let folder = self.folder.join(FOLDER);
        let Author { device, incarnation } = found.author;
        let conversation = blake3::hash(format!("{:?}", found.conversation).as_bytes()).to_hex();
        let name = format!(
            "fork-{}-{incarnation:016x}-{}-{}.txt",
            &device.to_string()[..16],
            held.seq.0,
            &conversation[..8]
        );
        let there = self.disk.list(&folder)?;
        if there.contains(&name) {
            return Err(Kept::Already);
        }
        if there.len() >= PROOFS_MAX {
            return Ok(None);
        }
        self.disk.create_folder(&folder)?;
        let path = folder.join(name);
        let proof = format!(
            "Two entries of device {device} that contradict one another, in hexadecimal digits.\n{}{}",
            self.evidence("held", held),
            self.evidence("found", found)
        );
        self.disk.replace(&path, proof.as_bytes())?;
        Ok(Some(path))
    }

    /// An entry, and the seal that covers it here, if any does.
    fn evidence(&self, what: &str, entry: &Entry) -> String {
        let mut text = format!(
            "{what}: seq {}\nid: {}\nentry: {}\n",
            entry.seq.0,
            entry.id,
            hex(&entry.bytes)
        );
        let seal = self.covering(entry);
        if let Some(Seal { seq, id, signature, .. }) = seal.filter(|seal| seal.seq > entry.seq || seal.id == entry.id) {
            let signature = hex(&signature);
            // Writing to a string does not fail.
            let _written = writeln!(
                text,
                "sealed up to: seq {}\nseal of: {id}\nsignature: {signature}",
                seq.0
            );
        }
        text
    }

    fn covering(&self, entry: &Entry) -> Option<Seal> {
        let seals = self.vouching.seals(&entry.conversation)?;
        let seq: Seq = seals.covering(&entry.author, entry.seq)?;
        seals.last_upto(&entry.author, seq).ok()?
    }
}

/// Why a proof was not kept now.
enum Kept {
    Already,
    Not(IoError),
}

impl From<IoError> for Kept {
    fn from(error: IoError) -> Self {
        Self::Not(error)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _written = write!(text, "{byte:02x}");
            text
        })
}
