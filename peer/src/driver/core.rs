//! A node with its logs: every step's entries are appended before its effects come out.
//!
//! No clock, no network and no threads, so that the simulation drives the same code as the program, on a disk that it can crash.

mod delivered;
mod syncing;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    damage::{damage_notice, waiting_notice},
    ports::Order,
    proof::Told,
    recent_ids::RecentIds,
    vouching::Vouching,
};
use crate::{
    log::{self, Disk, Log, LogError, Opened, Resume, Tail},
    node::{
        Effect, Identity, Input, LoadedLog, Node, Now, Step,
        event::{Code, Event, Joined, Notice},
        limits::REPLAY_LAST,
        link::{ByeReason, LinkId, Outgoing},
        memberships::Memberships,
        people::{Deed, People},
        private::Invitation,
        replica::AuthorLog,
        types::{Authority, Conversation, Decode, DeviceId, Encode, Entry, Heights, UserName},
    },
    seal::SharedNotary,
};

/// What is to be done after a step's entries are in the log.
#[derive(Debug)]
pub enum Act {
    /// Order something from the wire.
    Order(Order),
    /// Send something over a link.
    Send(LinkId, Outgoing),
    /// Close a link.
    Close(LinkId, ByeReason, String),
    /// Tell the user.
    Tell(Event),
    /// Note that something was refused: from this member, if it was one, and why.
    Refused(Option<(UserName, DeviceId)>, String),
    /// Do something about people.
    People(Deed),
    /// Remember in which rooms the user is.
    RememberRooms(Memberships),
    /// Keep the invitation to a private room, see [`Core::place_of_invitation`].
    KeepInvitation(Invitation),
    /// Hand this to [`Core::handle`].
    Again(Input),
}

/// How entries become bytes and bytes become entries.
#[derive(Debug, Clone)]
pub struct Codec {
    /// Makes an entry of a draft.
    pub encode: Encode,
    /// Makes an entry of bytes.
    pub decode: Decode,
}

/// A node with its logs.
#[derive(Debug)]
pub struct Core<D: Disk> {
    pub(super) disk: D,
    /// The user's data folder.
    pub(super) folder: PathBuf,
    decode: Decode,
    pub(super) node: Node,
    logs: BTreeMap<Conversation, Log<D>>,
    recent_ids: BTreeMap<Conversation, RecentIds>,
    /// Conversations with entries that are not synced.
    unsynced: BTreeSet<Conversation>,
    pub(super) vouching: Vouching<D>,
    /// What was found behind damage, for the node's first step.
    salvaged: Vec<(Conversation, Vec<Arc<Entry>>)>,
    pub(super) told: Told,
}

impl<D: Disk> Core<D> {
    /// Opens all logs below the folder of what the user has under an authority, which must be there. Returns also what the user must know of their state.
    ///
    /// # Errors
    /// The disk refuses, or a newer version wrote a log. Damage is no error: what can be read is there, and the rest is pulled.
    pub fn open(
        disk: D,
        folder: PathBuf,
        (me, authority): (Identity, Option<Authority>),
        codec: Codec,
        notary: SharedNotary,
        seed: u64,
    ) -> Result<(Self, Vec<Notice>), LogError> {
        let mut node = Node::new(me, authority, codec.encode, seed);
        let (vouching, introductions) = Vouching::open(disk.clone(), &folder, notary)?;
        for introduction in introductions {
            node.load_introduction(introduction);
        }
        let mut core = Self {
            disk,
            folder,
            decode: codec.decode,
            node,
            logs: BTreeMap::new(),
            recent_ids: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            vouching,
            salvaged: Vec::new(),
            told: Told::default(),
        };
        let mut notices = Vec::new();
        let user = core.node.me().user.clone();
        for shelved in log::shelved(&core.disk, &core.folder, &user)? {
            let opened = core.open_log(&shelved.conversation)?;
            notices.extend(
                opened
                    .damage
                    .iter()
                    .map(|damage| damage_notice(&shelved.conversation, &user, damage)),
            );
            let waiting = opened.set_aside.iter();
            notices.extend(waiting.filter_map(|file| waiting_notice(&shelved.conversation, &user, file)));
            core.load(shelved.conversation.clone(), opened)?;
            notices.extend(core.load_invitation(&shelved.conversation)?);
        }
        Ok((core, notices))
    }

    fn open_log(&mut self, conversation: &Conversation) -> Result<Opened, LogError> {
        let user = self.node.me().user.clone();
        let folder = log::prepare(&self.disk, &self.folder, &user, conversation)?;
        let (log, opened) = match Log::begin(self.disk.clone(), &folder, self.decode)? {
            Some(log) => (log, Opened::default()),
            None => Log::open_of(self.disk.clone(), &folder, self.decode, conversation)?,
        };
        self.vouching.open_seals(conversation, &log)?;
        self.logs.insert(conversation.clone(), log);
        Ok(opened)
    }

    fn load(&mut self, conversation: Conversation, opened: Opened) -> Result<(), LogError> {
        let mut loaded = LoadedLog {
            resume: opened.resume.map(|resume| resume.incarnation),
            ..LoadedLog::default()
        };
        loaded.recently_seen = opened.recently_seen;
        let mut tail = Tail::default();
        if let Some(log) = self.logs.get(&conversation) {
            loaded.forked.clone_from(log.forked());
            loaded.proved = log.contradictions()?;
            loaded.sealed = self.vouching.sealed(&conversation, log, &self.node.me().device)?;
            // What has no introduction cannot be served either.
            let proved = loaded.sealed.iter().map(|(author, seq)| (*author, *seq));
            let proved = proved.filter(|(author, _)| self.vouching.certificate(&author.device).is_some());
            let mut proved = Heights(proved.collect());
            if !loaded.forked.is_subset(&loaded.proved) {
                // Somebody may name what such an author said elsewhere, and that has a seal and cannot be served. Nothing but the log
                // says who does, so all of it is looked at.
                proved = Heights::default();
            }
            (loaded.servable, tail) = log.beyond(&proved);
        }
        for author in opened.authors {
            loaded.heads_seen.insert(author.author, author.head_seen);
            let user = author.user.expect("the decoder takes no first entry without its user");
            let held = AuthorLog {
                user,
                lamports: author.lamports,
                head: author.head,
            };
            loaded.authors.insert(author.author, held);
        }
        self.node.load(conversation.clone(), loaded);
        if let Some(log) = self.logs.get(&conversation) {
            loop {
                let part = log.read_tail(&mut tail)?;
                if part.is_empty() {
                    break;
                }
                self.node.load_tail(&conversation, &part);
            }
        }
        if !opened.salvaged.is_empty() {
            let entries = opened.salvaged.into_iter().map(Arc::new).collect();
            self.salvaged.push((conversation, entries));
        }
        Ok(())
    }

    /// Takes inputs, appends what they bring to the logs, and returns what is to be done then.
    ///
    /// # Errors
    /// A log cannot be appended to: nothing of these inputs may be said or acked, and the peer must end.
    pub fn handle(&mut self, inputs: impl IntoIterator<Item = Input>, now: Now) -> Result<Vec<Act>, LogError> {
        let salvaged = std::mem::take(&mut self.salvaged).into_iter();
        let salvaged = salvaged.map(|(conversation, entries)| Input::Salvaged(conversation, entries));
        let mut batches: BTreeMap<Conversation, Vec<Arc<Entry>>> = BTreeMap::new();
        let mut effects = Vec::new();
        let mut proofs = Step::default();
        for input in salvaged.chain(inputs) {
            let mut step = self.node.handle(input, now);
            proofs.introductions.append(&mut step.introductions);
            proofs.seals.append(&mut step.seals);
            proofs.judge.append(&mut step.judge);
            proofs.forked.append(&mut step.forked);
            proofs.contradictions.append(&mut step.contradictions);
            for entry in step.persist {
                match batches.get_mut(&entry.conversation) {
                    Some(batch) => batch.push(entry),
                    None => {
                        batches.insert(entry.conversation.clone(), vec![entry]);
                    }
                }
            }
            effects.extend(step.then);
        }
        for (conversation, author) in std::mem::take(&mut proofs.forked) {
            self.log_of(&conversation)?.fork(author)?;
        }
        let contradictions = std::mem::take(&mut proofs.contradictions);
        for (conversation, proof) in &contradictions {
            self.log_of(conversation)?.keep_contradiction(proof)?;
        }
        for (conversation, batch) in batches {
            self.append(conversation, &batch)?;
        }
        let passed = self.vouching.keep(&mut proofs)?;
        let mut acts = Vec::with_capacity(effects.len());
        acts.extend(passed.into_iter().map(Act::Again));
        for (conversation, proof) in &contradictions {
            self.tell_proof(conversation, proof, &mut acts);
        }
        for effect in effects {
            // What cannot be read is no reason to end: the user is told, and the next start repairs it.
            if let Err(error) = self.act(effect, &mut acts) {
                acts.push(Act::Tell(Event::Notice(unreadable(&error))));
            }
        }
        Ok(acts)
    }

    /// The log of a conversation, made where there is none yet.
    fn log_of(&mut self, conversation: &Conversation) -> Result<&mut Log<D>, LogError> {
        if !self.logs.contains_key(conversation) {
            self.open_log(conversation)?;
        }
        Ok(self.logs.get_mut(conversation).expect("it was opened just now"))
    }

    fn append(&mut self, conversation: Conversation, batch: &[Arc<Entry>]) -> Result<(), LogError> {
        let me = self.node.me().device;
        self.log_of(&conversation)?.append(batch)?;
        for entry in batch.iter().filter(|entry| entry.author.device == me) {
            self.recent_ids.entry(conversation.clone()).or_default().push(entry);
            self.vouching.wrote(entry);
        }
        self.unsynced.insert(conversation);
        Ok(())
    }

    fn act(&mut self, effect: Effect, acts: &mut Vec<Act>) -> Result<(), LogError> {
        acts.push(match effect {
            Effect::Dial(device, address) => Act::Order(Order::Dial(device, address)),
            Effect::AskVersion(device, way, conversation) => Act::Order(Order::AskVersion(device, way, conversation)),
            Effect::Pull {
                pull,
                device,
                way,
                conversation,
                heights,
            } => Act::Order(Order::Pull {
                pull,
                device,
                way,
                conversation,
                heights,
            }),
            Effect::StopPull(pull) => Act::Order(Order::StopPull(pull)),
            Effect::Registry(ask) => Act::Order(Order::Registry(ask)),
            Effect::Close(link, reason, message) => Act::Close(link, reason, message),
            Effect::Send(link, what) => Act::Send(link, what),
            Effect::Tell(event) => Act::Tell(event),
            Effect::TellJoined {
                conversation,
                created,
                members,
                by_other_device,
                held,
            } => {
                let replay = self.last(&conversation, REPLAY_LAST, &held)?;
                let version = held.version();
                Act::Tell(Event::Joined(Joined {
                    conversation,
                    created,
                    version,
                    members,
                    replay,
                    by_other_device,
                }))
            }
            Effect::TellLast(conversation, count, stretches) => {
                Act::Tell(self.tell_last(&conversation, count, &stretches)?)
            }
            Effect::TellDelivered(news) => return self.delivered(&news, acts),
            Effect::SendSeal(link, conversation, author, seq) => match self.seal_upto(&conversation, &author, seq)? {
                Some(seal) => Act::Send(link, Outgoing::Seal(conversation, Arc::new(seal))),
                None => return Ok(()),
            },
            Effect::Compare(compare) => return self.compare(&compare, acts),
            Effect::KeepInvitation(invitation) => Act::KeepInvitation(invitation),
            Effect::Refused(member, why) => Act::Refused(member, why),
            Effect::People(deed) => Act::People(deed),
            Effect::RememberRooms(memberships) => Act::RememberRooms(memberships),
        });
        Ok(())
    }

    /// Gives the node what was remembered of people. Before the first input only.
    pub fn set_people(&mut self, people: People) {
        self.node.set_people(people);
    }

    /// The node, to be asked.
    pub fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Where the user's data is, and whose it is.
    pub(super) fn place(&self) -> (&D, &Path, &UserName) {
        (&self.disk, &self.folder, &self.node.me().user)
    }

    /// What makes entries of bytes.
    pub(super) fn decode(&self) -> Decode {
        self.decode
    }

    /// The log of a conversation, if anything was ever written to it.
    pub fn log(&self, conversation: &Conversation) -> Option<&Log<D>> {
        self.logs.get(conversation)
    }

    /// Ends in order: everything becomes durable, and the next run may go on where this one ends.
    ///
    /// # Errors
    /// The disk refuses. Nothing that was durable is lost.
    pub fn close(self) -> Result<(), LogError> {
        self.vouching.sync()?;
        for (conversation, log) in self.logs {
            let talk = self.node.talks().get(&conversation);
            let incarnation = talk.and_then(|talk| talk.permitted(self.node.me().device));
            let permit = incarnation.map(|incarnation| Resume {
                incarnation,
                state: Vec::new(),
            });
            log.close(permit.as_ref())?;
        }
        Ok(())
    }
}

/// What the user is told where his log cannot be read.
pub fn unreadable(error: &LogError) -> Notice {
    Notice {
        code: Code::LogDamaged,
        message: format!("{error}; restart to repair it"),
    }
}
