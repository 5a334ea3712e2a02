//! A peer's part in one conversation: what it holds, who else is in it, and how far joining has come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Millis,
    delivery::Deliveries,
    doubts::Doubts,
    limits::{HEIGHTS_AFTER_LOSS_MS, OWN_AUTHORS_MAX},
    private::Keys,
    relays::Relays,
    replica::Replica,
    sealing::Sealing,
    sync::Sync,
    types::{Author, Conversation, DeviceId, Entry, Seen, Seq, Stretches, UserName},
};

/// How far the user is in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Not in it; what was written while he was is on the disk.
    Closed,
    /// The registry was asked who is there.
    Asking(Entering),
    /// The members are asked what they hold, and it is pulled.
    Syncing(Entering),
    /// In it.
    Open,
}

/// What joining has brought so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entering {
    /// The user asked for it and is told; otherwise it is taken up again where the last run left it.
    pub announce: bool,
    /// The user has joined it at another device, and this one follows.
    pub by_other_device: bool,
    /// Members that have not answered what they hold.
    pub waiting: BTreeSet<DeviceId>,
    /// From whom entries were pulled.
    pub from: Vec<UserName>,
    /// How many.
    pub pulled: u64,
    /// The last pull from this member failed, and it is asked again before joining ends.
    pub again: Option<DeviceId>,
    /// How often that has happened.
    pub retries: u32,
    /// When joining ends, whatever is still to be pulled.
    pub until: Option<Millis>,
    /// When nobody's knock, and nobody's heights over a link, are waited for any longer. Calls have ended by then.
    pub knocks_until: Option<Millis>,
}

impl Entering {
    /// A pull from a user has brought so many entries.
    pub fn brought(&mut self, from: Option<UserName>, taken: u64) {
        self.pulled += taken;
        let news = from.filter(|user| taken > 0 && !self.from.contains(user));
        self.from.extend(news);
    }
}

/// What comes while a log is filled: the last entries of it are shown at the end, and as many more as were said meanwhile. Each is shown
/// once, and none after one that names it: what was left out then is not shown later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quiet {
    /// How many of those that are not shown were said meanwhile.
    pub live: usize,
    /// The first entry of each author that is not shown.
    first: BTreeMap<Author, Seq>,
}

impl Quiet {
    /// What is not shown, where this is held.
    pub fn hidden(&self, replica: &Replica) -> Stretches {
        let stretches = self.first.iter();
        stretches
            .map(|(author, first)| (*author, *first..=replica.height(author)))
            .collect()
    }

    /// Whether an entry that was just taken is left for the end. While the user is not in yet, that is everything; afterwards
    /// what is said now is shown at once, unless it has a cause that is not shown: effects do not come before their causes.
    pub fn hides(&mut self, entry: &Entry, live: bool, entering: bool) -> bool {
        // Of an author all that follows what is hidden is hidden; of other causes the heads name those that imply the rest, and
        // what is shown has no hidden cause.
        let hidden = |seen: &Seen| self.first.get(&seen.author).is_some_and(|first| *first <= seen.seq);
        let follows = self.first.contains_key(&entry.author) || entry.seen.iter().any(hidden);
        let hides = entering || !live || follows;
        if hides {
            self.first.entry(entry.author).or_insert(entry.seq);
            self.live += usize::from(live);
        }
        hides
    }
}

/// One of the others in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose device it is.
    pub user: UserName,
    /// What the user was last told of its presence.
    pub told_online: bool,
}

/// A peer's part in one conversation.
#[derive(Debug)]
pub struct Talk {
    /// What it holds.
    pub replica: Replica,
    /// What of that can be proved to third parties.
    pub sealing: Sealing,
    /// How far the user is in it.
    pub stage: Stage,
    /// The others' devices. Those that were lost stay, since they are owed what they lack; those that left do not.
    pub members: BTreeMap<DeviceId, Member>,
    /// In a private room: what follows from its secret; none where the invitation is lost.
    pub private: Option<Keys>,
    /// In a private room: devices that the registry names and that have not knocked.
    pub named: BTreeSet<DeviceId>,
    /// As whom it writes; made at the first entry.
    pub author: Option<Author>,
    /// As whom it has written in this run or might have, last of all as the last: at most [`OWN_AUTHORS_MAX`].
    pub own_authors: Vec<Author>,
    /// The incarnation that may be gone on with, as the log was closed in order.
    pub resume: Option<u64>,
    /// Those of them of whom others say that they hold more.
    pub doubts: Doubts,
    /// Pulling what is missing.
    pub sync: Sync,
    /// Which own entries the others have.
    pub deliveries: Deliveries,
    /// Up to which entries of each author the disk has been synced.
    pub durable: BTreeMap<Author, Seq>,
    /// What comes is not shown one by one, since nothing was held before.
    pub quiet: Option<Quiet>,
    /// Once the user was in it, all its members were seen to hold nothing: whatever comes is news, and no history.
    pub began_here: bool,
    /// Nothing was held when pulling began, and no pull has brought all that its member holds: what comes is history. Until this time
    /// nobody is charged for it.
    pub filling: Option<Millis>,
    /// Texts that wait for the conversation to be joined.
    pub waiting_texts: VecDeque<String>,
    /// The version at which each member was last told the heights, which are those of what it can be given.
    pub told: BTreeMap<DeviceId, u64>,
    /// Whoever was there when the user left it, while own entries had no seal.
    pub owed_seals: BTreeSet<DeviceId>,
    /// Who was told heights while there was more that had no seal yet.
    pub told_short: BTreeSet<DeviceId>,
    /// When they are told again.
    pub tell_short_at: Option<Millis>,
    /// Not before this, since some were told again a moment ago.
    pub tell_short_from: Millis,
    /// When the heights are to be told to all, out of turn.
    pub tell_at: Option<Millis>,
    /// What goes on through others.
    pub(super) relays: Relays,
}

impl Talk {
    /// Whether a device is in it, or is said to be.
    pub fn may_have(&self, device: &DeviceId) -> bool {
        self.members.contains_key(device) || self.named.contains(device)
    }

    /// A conversation around what is held of it.
    pub fn new(replica: Replica, sealing: Sealing, me: DeviceId, resume: Option<u64>) -> Self {
        // What was read back from the disk was synced when the log was opened.
        let durable: BTreeMap<_, _> = replica
            .authors()
            .iter()
            .map(|(author, log)| (*author, log.height()))
            .collect();
        let own = durable.iter().filter(|(author, _)| author.device == me);
        let deliveries = Deliveries::new(own.map(|(author, seq)| (*author, *seq)).collect());
        Self {
            replica,
            sealing,
            stage: Stage::Closed,
            members: BTreeMap::new(),
            private: None,
            named: BTreeSet::new(),
            author: None,
            own_authors: Vec::new(),
            resume,
            doubts: Doubts::default(),
            sync: Sync::default(),
            deliveries,
            durable,
            quiet: None,
            began_here: false,
            filling: None,
            waiting_texts: VecDeque::new(),
            told: BTreeMap::new(),
            owed_seals: BTreeSet::new(),
            told_short: BTreeSet::new(),
            tell_short_at: None,
            tell_short_from: Millis::default(),
            tell_at: None,
            relays: Relays::default(),
        }
    }

    /// The user is in it, or about to be.
    pub fn takes_part(&self, conversation: &Conversation) -> bool {
        // A direct conversation is always open to its two users: closing it only takes it off the screen.
        self.stage != Stage::Closed || matches!(conversation, Conversation::Direct(_))
    }

    /// As whom the device may go on, as far as nothing is against it: who wrote last comes first.
    pub fn own(&self, device: DeviceId) -> impl Iterator<Item = Author> {
        let resumed = self.resume.map(|incarnation| Author { device, incarnation });
        let earlier = self.own_authors.iter().rev().copied();
        self.author.into_iter().chain(resumed).chain(earlier)
    }

    /// As whom the device writes what comes next, where a new author would have this incarnation. An author whose entries named what may
    /// never be served goes on once they can be, and one who is in doubt once he is not.
    pub fn next_author(&self, device: DeviceId, incarnation: u64, now: Millis) -> Author {
        let may_go_on = |author: &Author| !self.doubts.has(author) && !self.sealing.is_author_overdue(author, now);
        let goes_on = self.own(device).find(may_go_on);
        goes_on.unwrap_or(Author { device, incarnation })
    }

    /// The device writes as this author.
    pub fn write_as(&mut self, author: Author) {
        let device = author.device;
        let resumed = self.resume.take().map(|incarnation| Author { device, incarnation });
        for author in resumed.into_iter().chain([author]) {
            if self.own_authors.last() != Some(&author) {
                self.own_authors.retain(|own| *own != author);
                self.own_authors.push(author);
            }
        }
        self.author = Some(author);
        let too_many = self.own_authors.len().saturating_sub(OWN_AUTHORS_MAX);
        self.own_authors.drain(..too_many);
    }

    /// The device writes as this author no more.
    pub fn give_up(&mut self, author: &Author) {
        self.author.take_if(|own| own == author);
        self.own_authors.retain(|own| own != author);
        self.resume.take_if(|incarnation| *incarnation == author.incarnation);
        self.doubts.settle(author);
    }

    /// The incarnation with which the next run may go on, if this one ends in order: none where it is in doubt.
    pub fn permitted(&self, device: DeviceId) -> Option<u64> {
        let last = self.resume.or(self.author.map(|author| author.incarnation));
        last.filter(|&incarnation| !self.doubts.has(&Author { device, incarnation }))
    }

    /// These devices were told less than there is now; they are told again, not much more often than all are after a loss.
    pub fn tell_short_again(&mut self, now: Millis) {
        let at = now.max(self.tell_short_from);
        self.tell_short_at.get_or_insert(at);
    }

    /// Whoever is to be told again now.
    pub fn take_told_short(&mut self, now: Millis) -> BTreeSet<DeviceId> {
        if self.tell_short_at.take_if(|at| *at <= now).is_none() {
            return BTreeSet::new();
        }
        self.tell_short_from = now.plus(HEIGHTS_AFTER_LOSS_MS);
        std::mem::take(&mut self.told_short)
    }

    /// Nothing is held of it, and the user is not in it.
    pub fn is_unused(&self) -> bool {
        self.stage == Stage::Closed && self.replica.version() == 0
    }

    /// What joining has brought so far, while it lasts.
    pub fn entering(&mut self) -> Option<&mut Entering> {
        match &mut self.stage {
            Stage::Asking(entering) | Stage::Syncing(entering) => Some(entering),
            Stage::Closed | Stage::Open => None,
        }
    }

    /// Whether nobody is charged for what a pull brings: what a newcomer is given may be more than anybody writes at once. That
    /// has an end, or who gives without end would fill his disk.
    pub fn is_free(&self, now: Millis) -> bool {
        let entering = matches!(self.stage, Stage::Asking(_) | Stage::Syncing(_));
        entering || self.filling.is_some_and(|until| now < until)
    }

    /// The other users, sorted, each once.
    pub fn other_users(&self, me: &UserName) -> BTreeSet<UserName> {
        self.members
            .values()
            .map(|member| member.user.clone())
            .filter(|user| user != me)
            .collect()
    }
}

#[cfg(test)]
mod tests;
