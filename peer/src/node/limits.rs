//! Every limit of a peer, with what happens when it is reached.

/// The longest text of a message in bytes of UTF-8. A longer one is refused with an error that names the limit.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The most authors that an entry names as newly seen. Where there are more, those of the greatest Lamport times are named, and
/// the others by the author's next entry.
pub const SEEN_MAX: usize = 1_024;

/// The longest entry in bytes: a full text, [`SEEN_MAX`] authors, names and hashes. A longer one is refused.
pub const ENTRY_BYTES_MAX: usize = 160 * 1024;

/// The most entries of one frame, and of one part of a history.
pub const BATCH_ENTRIES_MAX: usize = 256;

/// The most bytes of entries in one frame, unless a single entry is longer.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The most bytes of entries in one part of a history, unless a single entry is longer: few enough to come over a slow link before its
/// pull is judged.
pub const PART_BYTES_MAX: usize = 64 * 1024;

/// The most entries that wait for one link. When it is reached, the peer behind the link is left to pull from the log.
pub const LINK_QUEUE_MAX: usize = 1_024;

/// The most entries of a conversation that are held back for what they depend on. When it is reached, what is held back is
/// dropped and pulled again in order.
pub const HOLD_BACK_MAX: usize = 65_536;

/// The most bytes of a conversation's entries that are held back, with the same decision.
pub const HOLD_BACK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most direct conversations that others have begun and in which the user never said anything. A further one is refused, with a
/// reason, until he opens it himself. Each has two open files.
pub const OPENED_BY_OTHERS_MAX: usize = 1_000;

/// The most devices in a room, which is more than a registry has leases. When it is reached, those that are not there and never
/// wrote are forgotten; where all are there or have written, a further one is not taken in.
pub const MEMBERS_MAX: usize = 16_384;

/// The most devices in a direct conversation, with the same decision.
pub const DIRECT_MEMBERS_MAX: usize = 64;

/// The most devices of a user, which is also what a registry admits: of the own ones, and half of what a direct conversation has. When
/// it is reached, an own device that is not there is forgotten; where all are there, a further one is turned away.
pub const OWN_DEVICES_MAX: usize = 32;

/// The most rooms of which it is remembered whether the user is in them: more than a registry lets one device be in. When it is reached,
/// those that he has left are forgotten, the least often changed first; where he is in all of them, a further one is his until the
/// process ends and at this device alone.
pub const MEMBERSHIPS_MAX: usize = 1_024;

/// The greatest stamp of a membership, which nobody reaches by coming and going. A greater one is refused as misbehaviour.
pub const STAMP_MAX: u64 = 1 << 48;

/// Of so many conversations a link is told the heights at once. The rest follows, so many each time, and not faster than
/// [`TELL_PAUSE_MS`]: all at once could be more than the link's queue takes, each time again.
pub const TELL_AT_ONCE_MAX: usize = 128;

/// The pause before the heights of further conversations are told, in milliseconds.
pub const TELL_PAUSE_MS: u64 = 50;

/// The most live links. A member's takes the place of one with whom no conversation is shared; any other further one is refused
/// with a reason.
pub const LINKS_MAX: usize = 1_024;

/// The most authors of a conversation. Heights and entries of more are refused as misbehaviour; an own text that would need one is
/// not sent.
pub const AUTHORS_MAX: usize = 65_536;

/// How much later an entry may be, in Lamport time, than those of its causes that are held, where one is missing for ever since its
/// author contradicts himself. What is missing may depend on anything; still nobody can push the time to its end.
pub const FORKED_LAMPORTS_MAX: u64 = 1 << 32;

/// The most authors of a conversation who are known to contradict themselves. What names entries of a further one that are not here waits
/// for these, as for anybody's. A device makes a hundred or so of whom something is held before it has used up its allowance
/// ([`FLOOD_AUTHOR_BYTES`]), and [`FORKED_UNKNOWN_MAX`] others; so it takes several devices.
pub const FORKED_MAX: usize = 1_024;

/// The most authors of one device of which nothing is held and who are known to contradict themselves: more than any has by accident. A
/// device could make up as many as it likes.
pub const FORKED_UNKNOWN_MAX: usize = 16;

/// The most entries of a proof that an author contradicts himself: as many as a reader lets wait for a seal, so that of all that can be
/// served it can be proved. What would need a longer one is not told to others.
pub const CONTRADICTION_ENTRIES_MAX: usize = WINDOW_ENTRIES_MAX;

/// So many live entries of a device that are here already are compared in a second with what is here, which takes a look at the disk for each.
/// Further ones are passed over: an honest device sends hardly any, and two different ones come out by a pull as well.
pub const COMPARES_PER_SECOND: u32 = 256;

/// The most bytes of such a proof, with the same decision. Its author's device is charged with them.
pub const CONTRADICTION_BYTES_MAX: usize = WINDOW_BYTES_MAX;

/// The most conversations of which one link may tell heights. More are ignored.
pub const CONVERSATIONS_MAX: usize = 4_096;

/// The most knocks in one frame: as many as a device has rooms at a registry. More are refused as misbehaviour.
pub const KNOCKS_MAX: usize = 256;

/// How long entering a room waits for those who tell over a link what they hold, in milliseconds: in a private room for those whom the
/// registry names, elsewhere for those who have dialled. It is as long as a call may take.
/// Who has the secret does so at once; nobody else ever will.
pub const KNOCK_WAIT_MS: u64 = 5_000;

/// The deadline of every call that is answered once, in milliseconds.
pub const CALL_MS_MAX: u64 = 5_000;

/// The most texts that wait for a conversation to be joined. A further one is refused.
pub const WAITING_TEXTS_MAX: usize = 1_024;

/// How many entries are shown when a conversation is entered.
pub const REPLAY_LAST: usize = 50;

/// How long an entry may lack a cause before that is pulled, in milliseconds: on a healthy link it is under way.
pub const HOLD_BACK_GRACE_MS: u64 = 500;

/// How long a member may be seen to hold more of a linked author's entries before these are pulled from it, in milliseconds.
pub const LAG_GRACE_MS: u64 = 1_000;

/// How often heights are told on a link where they changed, in milliseconds.
pub const HEIGHTS_EVERY_MS: u64 = 30_000;

/// When a link is lost, heights are told to the others after a random part of this, in milliseconds: the lost peer may have
/// reached only some. Not more often are those told again who were told what was not all.
pub const HEIGHTS_AFTER_LOSS_MS: u64 = 300;

/// The first wait before dialling again, in milliseconds; it doubles with every failure.
pub const REDIAL_MS_MIN: u64 = 100;

/// The longest wait before dialling again, in milliseconds. There is no last try: a member stays owed what it lacks.
pub const REDIAL_MS_MAX: u64 = 15_000;

/// How long the device with the greater id waits for the other one to dial, in milliseconds, before it dials itself.
pub const DIAL_YIELD_MS: u64 = 250;

/// So many connections to one address may be made at once, however many devices name it: what a device needs for its link and to be
/// asked of some conversations. A further one waits.
pub const DIALS_AT_ONCE: u64 = 8;

/// How long it takes until one more may be made, in milliseconds.
pub const DIAL_AGAIN_MS: u64 = 500;

/// Of so many addresses it is remembered how often they were dialled. A further one waits.
pub const DIALLED_ADDRESSES_MAX: usize = 16_384;

/// So long after a link came up, in milliseconds, a dial of the other side is no longer one that crossed an own one: it is without that link.
pub const CROSSING_MS_MAX: u64 = 5_000;

/// How long a member whose history was of no use is not asked again, in milliseconds.
pub const PULL_AGAIN_MS: u64 = 5_000;

/// The first wait before logging in at the registry again, in milliseconds; it doubles with every failure.
pub const REGISTRY_RETRY_MS_MIN: u64 = 50;

/// The longest wait before logging in at the registry again, in milliseconds.
pub const REGISTRY_RETRY_MS_MAX: u64 = 2_000;

/// A log-in that lasted so long was a good one, in milliseconds: the registry is not left alone for longer and longer when it ends.
pub const REGISTRY_LASTING_MS: u64 = 10_000;

/// The most registries of a list. More are refused as wrong usage.
pub const REGISTRIES_MAX: usize = 8;

/// How often a peer that uses another registry looks whether the first of its list is there, in milliseconds: after a random part
/// between the half and the whole of it.
pub const HOME_LOOK_MS: u64 = 6_000;

/// How long the first registry of a list must have been there before a peer moves back to it, in milliseconds: a random part between
/// the half and the whole of it, so that one that was restarted does not get all its peers at once.
pub const HOME_AFTER_MS: u64 = 20_000;

/// For how long a registry that was there and could not do what it was asked is not taken for one that can, at most; half of it at least.
pub const UNWILLING_MS: u64 = 120_000;

/// How far this machine's clock may be from the registry's before the user is told, in milliseconds.
pub const CLOCKS_APART_MS_MAX: u64 = 5 * 60_000;

/// How long finding another registry may take before the user is told that there is none, in milliseconds. Until then nothing has
/// happened for him, and what is asked waits.
pub const FAILOVER_MS_MAX: u64 = CALL_MS_MAX;

/// The most questions that wait meanwhile. A further one is answered as if there were no registry.
pub const FAILOVER_QUESTIONS_MAX: usize = 256;

/// How long the registry to which a peer has moved has to say again who is there, in milliseconds. Of whom it has said nothing by then
/// it has nothing to say.
pub const RELIST_MS: u64 = 10_000;

/// The most rooms that are listed; a larger site is for searching, not for reading.
pub const ROOMS_LISTED_MAX: usize = 10_000;

/// Of so many entries that were written before a member was first heard of the user is told that the member has got them: it may
/// have been away. That a newcomer gets a long history is no news for every entry of it.
pub const FIRST_DELIVERIES_MAX: u64 = 1_024;

/// The most users whose coming and going the registry is asked to tell, which is below what it takes. Of others it is heard when they
/// are looked for or come themselves.
pub const WATCHED_MAX: usize = 1_000;

/// How often a pull that broke half-way is begun again before joining ends without the rest.
pub const JOIN_RETRIES_MAX: u32 = 3;

/// How soon that is, in milliseconds.
pub const JOIN_RETRY_MS: u64 = 500;

/// The most bytes of heights in one frame, unless those of a single conversation are longer.
pub const HEIGHTS_BYTES_MAX: usize = 1024 * 1024;

/// How far apart the seals of an author are at least that are kept for good. Between them only the last two are.
pub const ANCHOR_EVERY: u64 = 16;

/// The most entries of a burst that one seal covers alone: a further one is made inside it.
pub const SEAL_EVERY: u64 = 256;

/// The most entries of an author that cannot be served yet. Further ones are not taken before there are fewer. Of most authors it is
/// some: only what names an entry that nobody ever seals comes here.
pub const UNSERVABLE_MAX: usize = 65_536;

/// The most bytes that are kept in memory of a device's entries that cannot be served yet, with the same decision. It is not their texts
/// but what they name, so only a device that names very many comes here.
pub const UNSERVABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So many entries of an author are taken live without a seal. Further ones are passed over, and come by a pull, with their seals.
pub const UNSEALED_LIVE_MAX: u64 = 4_096;

/// The most bytes of such entries, with the same decision.
pub const UNSEALED_LIVE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most entries of an author that one seal covers alone, so that a reader can let them wait with those of others between them. A
/// seal that would cover more makes nothing servable, and a history with such a one is refused.
pub const SEAL_SPAN_MAX: u64 = 6_144;

/// The most bytes of such entries, with the same decision: so many as [`SEAL_EVERY`] of the longest have. Seals that are no farther apart
/// than that need not be looked at for what they cover.
pub const SEAL_SPAN_BYTES_MAX: u64 = SEAL_EVERY * ENTRY_BYTES_MAX as u64;

/// The most seals in a part of a history: of an author with an entry in it two, as what comes before it may have waited for a seal for
/// long, and further ones at least [`SEAL_EVERY`] apart.
pub const PART_SEALS_MAX: usize = 2 * BATCH_ENTRIES_MAX;

/// The most entries of a pulled history that wait for a seal. When more come, the pull ends and is made from another member.
pub const WINDOW_ENTRIES_MAX: usize = 8_192;

/// The most bytes of a pulled history that wait for a seal, with the same decision.
pub const WINDOW_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Where the seal of an entry comes later in a history than so many entries, the entries up to it are sent ahead, so that the reader's
/// window stays far below its limit.
pub const COVER_WITHIN_ENTRIES: u32 = 1_024;

/// The same in bytes of the log.
pub const COVER_WITHIN_BYTES: u64 = 4 * 1024 * 1024;

/// The longest introduction in bytes. A longer one is refused.
pub const INTRODUCTION_BYTES_MAX: usize = 4 * 1024;

/// How long a member who served a history that cannot be genuine is not asked again, in milliseconds.
pub const BAD_HISTORY_AGAIN_MS: u64 = 60_000;

/// How long an entry may have no seal before own entries name it no longer as seen, in milliseconds: its author may never come back
/// to make one, and whatever names it cannot be served either.
pub const SEAL_GRACE_MS: u64 = 500;

/// So many own authors of a conversation are remembered while the process runs, to be gone on with. Above it the one is forgotten that
/// has not written for the longest time.
pub const OWN_AUTHORS_MAX: usize = 16;

/// So many own authors of a conversation may be in doubt since somebody says that he holds more of them. Of a further one it is not
/// believed before it is shown: each could cost a new author.
pub const OWN_DOUBTED_MAX: usize = 8;

/// What a device's entries may cost at once, in bytes: far more than an honest one writes in a burst, which is some millions of short
/// messages. Above it nothing live is taken from that device for a while; what it wrote meanwhile is pulled at the pace of
/// [`FLOOD_BYTES_PER_MS`].
pub const FLOOD_BURST_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// What a device's entries may cost in the long run, in bytes a millisecond: more than 2,000 short messages a second.
pub const FLOOD_BYTES_PER_MS: u64 = 1_024;

/// What an entry costs beside its bytes: its places in the index and in memory.
pub const FLOOD_ENTRY_BYTES: u64 = 256;

/// What the first entry of an author costs beside that where its device has another one in the conversation. That takes
/// [`AUTHORS_MAX`] authors and a device makes a new one after an unclean end; so 100 are taken at once and [`AUTHORS_MAX`] of one device
/// in 12 days.
pub const FLOOD_AUTHOR_BYTES: u64 = 16 * 1024 * 1024;

/// How much of its allowance a device that went over it must have back before anything is taken again, so that the rest comes in
/// few pulls and not in many. More than the dearest entry costs.
pub const FLOOD_BACK_BYTES: u64 = 32 * 1024 * 1024;

/// So many entries of devices over their allowance are passed over in one pull. Then it ends, and those devices are left out of
/// the next one.
pub const FLOOD_PASSED_MAX: u64 = 4_096;

/// How long live entries of such a device are gathered before what is lacking of it is pulled, in milliseconds.
pub const FLOOD_LIVE_MS: u64 = 250;

/// How long a newcomer's log is filled without anybody being charged, in milliseconds.
pub const FILLING_FREE_MS: u64 = 600_000;

/// Of so many devices the use of the allowance is known. When it is reached, those that have used less than half of it begin anew.
pub const FLOOD_ACCOUNTS_MAX: usize = 65_536;

/// How long a pull may take, in milliseconds. Then it is planned anew, so that every member that holds something has its turn.
pub const PULL_MS_MAX: u64 = 30_000;

/// In so many milliseconds a pull must bring half a part, [`PULL_WINDOW_ENTRIES`] or [`PULL_WINDOW_BYTES`]. A slower pull is ended, and
/// others are asked.
pub const PULL_WINDOW_MS: u64 = 10_000;

/// So many entries are enough in that time.
pub const PULL_WINDOW_ENTRIES: usize = BATCH_ENTRIES_MAX / 2;

/// So many bytes are enough in that time. Half of [`PART_BYTES_MAX`], since a part ends before an entry that has no room in it.
pub const PULL_WINDOW_BYTES: usize = PART_BYTES_MAX / 2;

/// How long a pull may be without its first part, in milliseconds: connecting and calling have deadlines of their own.
pub const PULL_FIRST_MS: u64 = 2 * CALL_MS_MAX + PULL_WINDOW_MS;

/// So many conversations are pulled from one member at a time, since they share the way to it. A further one waits for its turn.
pub const PULLS_OF_MEMBER_MAX: usize = 2;

/// How long a member that is there may be without a link before others are asked to relay, in milliseconds: most links are there sooner.
pub const RELAY_AFTER_MS: u64 = 1_000;

/// How many others are asked to relay in a conversation. More than one, since one may lack the same link.
pub const RELAYS_MAX: usize = 3;

/// So many histories are asked for over a link at a time by the side that was dialled. More than it pulls from one member, since one
/// that it has given up may not have ended at the other side.
pub const CALLS_OF_LINK_MAX: usize = 4 * PULLS_OF_MEMBER_MAX;

/// The longest time that a member whose history was too slow is not asked again, in milliseconds. It begins with [`PULL_AGAIN_MS`]
/// and doubles.
pub const PULL_SLOW_MS_MAX: u64 = 300_000;

/// How long joining pulls what the members hold, in milliseconds, while own texts wait. Then they go out, and pulling goes on.
pub const JOIN_PATIENCE_MS: u64 = 60_000;

/// The most users of whose devices anything is remembered. When it is reached, the one is forgotten who was met the longest ago and is
/// not trusted; where all are trusted, a further one is not remembered.
pub const PEOPLE_MAX: usize = 4_096;

/// The most devices of a user that are remembered. When it is reached, the one is forgotten that was met the longest ago, a trusted one
/// only where all are; it is announced when it is back.
pub const DEVICES_OF_USER_MAX: usize = 64;
