//! What is kept of a device that contradicts itself, and what the user is told.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use data_encoding::HEXLOWER;

use super::core::{Act, Core};
use crate::{
    log::{Disk, IoError, Log, LogError, contradiction_file},
    node::{
        Input,
        contradiction::{Contradiction, Forked},
        event::{Code, Event, Notice},
        io::Compare,
        limits::CONTRADICTION_ENTRIES_MAX,
        sealing::Seal,
        types::{Author, Conversation, Entry, Seq},
    },
    seal,
};

/// The folder with the proofs for the user to read, in his own.
const FOLDER: &str = "proofs";
/// The most that are there. When it is reached, the user is told so, and of later contradictions nothing.
const PROOFS_MAX: usize = 64;
/// What is as long as this gets no further entries: the whole proof is beside the log, and to write it twice would keep everybody waiting.
const TEXT_BYTES: usize = 64 * 1024;

/// Of whom the user was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    authors: BTreeSet<(Conversation, Author)>,
    /// That there are too many as well.
    too_many: bool,
}

impl<D: Disk> Core<D> {
    /// Compares what came of an author with what is held of him. If it is something else, keeps both, tells the user once, and says so to
    /// the node.
    pub(super) fn compare(&mut self, compare: &Compare, acts: &mut Vec<Act>) -> Result<(), LogError> {
        let Compare { entries, seal, .. } = compare;
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let (author, conversation) = (first.author, first.conversation.clone());
        let differing = self.log(&conversation).map(|log| differing(log, entries));
        let Some((held, found)) = differing.transpose()?.flatten() else {
            return Ok(());
        };
        let how = match seal {
            None => Some(Forked::Live(found.seq)).filter(|_| !compare.is_refused),
            Some(seal) => match self.proof(&conversation, entries, seal)? {
                Some(proof) => Some(Forked::Proved(Arc::new(proof))),
                None => Some(Forked::Sealed),
            },
        };
        let how = how.map(|how| Act::Again(Input::Forked(conversation.clone(), author, how)));
        acts.extend(how);
        let covering = self.covering(&held)?;
        let (held, found) = (
            evidence("held", &held, covering.as_ref()),
            evidence("found", &found, seal.as_ref()),
        );
        self.tell_contradiction(&conversation, &author, &(held + &found), acts);
        Ok(())
    }

    /// There is proof, from whomever.
    pub(super) fn tell_proof(&mut self, conversation: &Conversation, proof: &Contradiction, acts: &mut Vec<Act>) {
        let Contradiction { seal, other, entries } = proof;
        let author = proof.author();
        let mut text = format!("{}{}", seal_text(seal), seal_text(other));
        for (n, entry) in entries.iter().enumerate() {
            if text.len() >= TEXT_BYTES {
                let file = self
                    .log(conversation)
                    .map(|log| log.folder().join(contradiction_file(&author)));
                let file = file.unwrap_or_default();
                let more = entries.len() - n;
                text += &format!("and {more} more entries, which are in {}\n", file.display());
                break;
            }
            text += &evidence("found", entry, None);
        }
        self.tell_contradiction(conversation, &author, &text, acts);
    }

    /// What proves to anybody that an author contradicts himself, where that can be: what is held must have a seal as well.
    fn proof(
        &self,
        conversation: &Conversation,
        found: &[Arc<Entry>],
        seal: &Seal,
    ) -> Result<Option<Contradiction>, LogError> {
        let (Some(log), Some(seals)) = (self.log(conversation), self.vouching.seals(conversation)) else {
            return Ok(None);
        };
        let author = &seal.author;
        let mut claims = Vec::new();
        if let Some(before) = seals.last_upto(author, seal.seq)? {
            let entries = found.iter().filter(|entry| entry.seq > before.seq).cloned();
            claims.push(Contradiction {
                entries: entries.collect(),
                seal: before,
                other: seal.clone(),
            });
        }
        let after = seals.covering(author, seal.seq);
        let is_near = |after: &Seq| after.0 - seal.seq.0 <= CONTRADICTION_ENTRIES_MAX as u64;
        if let Some(after) = after.filter(is_near)
            && let Some(other) = seals.last_upto(author, after)?
        {
            let held = (seal.seq.0 + 1..=other.seq.0).map(|seq| log.read(author, Seq(seq)).map(Arc::new));
            claims.push(Contradiction {
                entries: held.collect::<Result<_, _>>()?,
                seal: seal.clone(),
                other,
            });
        }
        let notary = self.notary();
        let mut good = claims
            .into_iter()
            .filter(|proof| seal::is_proved(notary.as_ref(), conversation, proof));
        Ok(good.next())
    }

    /// Tells the user of an author who contradicts himself, once in all, and keeps for him what shows it.
    fn tell_contradiction(
        &mut self,
        conversation: &Conversation,
        author: &Author,
        evidence: &str,
        acts: &mut Vec<Act>,
    ) {
        if !self.told.authors.insert((conversation.clone(), *author)) {
            return;
        }
        let kept = match self.keep_text(conversation, author, evidence) {
            Ok(Some(path)) => format!("what shows it is in {}", path.display()),
            Ok(None) if std::mem::replace(&mut self.told.too_many, true) => return,
            Ok(None) => format!("{PROOFS_MAX} such proofs are kept already, so of further ones you are not told"),
            Err(Kept::Already) => return,
            Err(Kept::Not(error)) => format!("what shows it cannot be kept: {error}"),
        };
        let title = conversation.label(&self.node().me().user);
        let talk = self.node().talks().get(conversation);
        let known = talk.and_then(|talk| talk.replica.authors().get(author));
        let user = known.map_or_else(|| "somebody".into(), |author| author.user.to_string());
        let device = author.device;
        let message = format!(
            "{user} contradicts himself: device {device} wrote two different entries with one number in {title}; the first one \
             stays, and {kept}"
        );
        acts.push(Act::Tell(Event::Notice(Notice {
            code: Code::Fork,
            message,
        })));
    }

    fn keep_text(&self, conversation: &Conversation, author: &Author, evidence: &str) -> Result<Option<PathBuf>, Kept> {
        let folder = self.folder.join(FOLDER);
        let Author { device, incarnation } = author;
        let conversation = blake3::hash(format!("{conversation:?}").as_bytes()).to_hex();
        let name = format!(
            "fork-{}-{incarnation:016x}-{}.txt",
            &device.to_string()[..16],
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
        let text = format!("What shows that device {device} contradicts itself, in hexadecimal digits.\n{evidence}");
        self.disk.replace(&path, text.as_bytes())?;
        Ok(Some(path))
    }

    /// The seal that covers an entry of the log.
    fn covering(&self, entry: &Entry) -> Result<Option<Seal>, LogError> {
        let seals = self.vouching.seals(&entry.conversation);
        let covering = seals.and_then(|seals| Some((seals, seals.covering(&entry.author, entry.seq)?)));
        covering.map_or(Ok(None), |(seals, seq)| seals.last_upto(&entry.author, seq))
    }
}

/// The first two entries, of the log and of what came, that contradict one another, if any do.
fn differing<D: Disk>(log: &Log<D>, found: &[Arc<Entry>]) -> Result<Option<(Entry, Arc<Entry>)>, LogError> {
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        return Ok(None);
    };
    let author = &first.author;
    let height = log.height(author);
    if height.next() == first.seq && height >= Seq::FIRST {
        // One that does not follow contradicts the one that is held before it.
        let held = log.read(author, height)?;
        return Ok((first.previous != held.id).then(|| (held, Arc::clone(first))));
    }
    let ids = log.ids(author, first.seq, last.seq.min(height))?;
    let mut pairs = found.iter().zip(ids);
    match pairs.find(|(found, (seq, id))| found.seq == *seq && found.id != *id) {
        Some((found, (seq, _))) => Ok(Some((log.read(author, seq)?, Arc::clone(found)))),
        None => Ok(None),
    }
}

/// An entry, and the seal that covers it, if any does.
fn evidence(what: &str, entry: &Entry, seal: Option<&Seal>) -> String {
    format!(
        "{what}: seq {}\nid: {}\nentry: {}\n{}",
        entry.seq.0,
        entry.id,
        HEXLOWER.encode(&entry.bytes),
        seal.map(seal_text).unwrap_or_default()
    )
}

fn seal_text(Seal { seq, id, signature, .. }: &Seal) -> String {
    let signature = HEXLOWER.encode(signature);
    format!("sealed up to: seq {}\nseal of: {id}\nsignature: {signature}\n", seq.0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::testing::Peer,
        seal::testing::{Pen, room},
    };

    #[test]
    fn the_text_for_the_user_does_not_repeat_a_long_proof() {
        let (mut peer, mut mallory, mut twin) = (Peer::new(), Pen::new(1), Pen::new(1));
        mallory.write("one", Vec::new());
        let seal = mallory.seal();
        let long = "x".repeat(10_000);
        let entries = (0..100).map(|_| twin.write(&long, Vec::new())).skip(1).collect();
        let proof = Contradiction {
            seal,
            other: twin.seal(),
            entries,
        };
        let mut acts = Vec::new();
        peer.input(Input::Write(room(), "so that there is a log".into()));
        peer.core.tell_proof(&room(), &proof, &mut acts);
        let folder = PathBuf::from("/data/proofs");
        let names = peer.core.disk.list(&folder).unwrap();
        let text = peer.core.disk.bytes_of(&folder.join(&names[0])).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.len() < 128 * 1024, "{}", text.len());
        assert!(
            text.contains("found: seq 2") && text.contains("more entries, which are in /data/"),
            "{text}"
        );
    }
}
