//! Entries come in as far as their devices' allowances go, see [`flood`], and as far as they can be proved soon.

use std::collections::BTreeMap;

use super::{
    Node, Now,
    event::Code,
    flood::{self, Verdict},
    holdback::Held,
    limits::FLOOD_LIVE_MS,
    replica::Offered,
    sealing::Span,
    talk::Talk,
    types::{Author, DeviceId, Heights},
};

impl Node {
    /// Offers an entry that came live or by a pull. Its device is charged with it when it is taken, and so are those whose entries
    /// have waited for it: neither for one that is held already, nor for one that waits or is refused. `free` where nobody is charged.
    pub(super) fn offer(&mut self, held: Held, free: bool, now: Now) -> Offered {
        self.talk(&held.entry.conversation);
        let Self { talks, flood, .. } = self;
        let Some(talk) = talks.get_mut(&held.entry.conversation) else {
            return Offered::default();
        };
        let entry = &held.entry;
        let height = talk.replica.height(&entry.author);
        let free = free || entry.seq <= height;
        // Of what is passed over nothing is held back either.
        let waits = held.live && entry.seq > height.next();
        let verdict = match free {
            _ if waits && !talk.sealing.has_room(&entry.author, held.live, Span::default()) => Verdict::Pull,
            true => Verdict::Within,
            false => flood.check(&entry.author.device, held.live, now.mono),
        };
        let mut passed = Vec::new();
        let mut offered = Offered::default();
        if verdict == Verdict::Within {
            // What has waited for the first one, and is taken with it.
            let (mut is_first, mut more) = (true, BTreeMap::<Author, Span>::new());
            offered = talk.replica.offer_within(held, |held, others| {
                let Held { entry, live, .. } = held;
                let before = more.get(&entry.author).copied().unwrap_or_default();
                let cost = flood::cost(entry, others);
                let verdict = match talk.sealing.has_room(&entry.author, *live, before) {
                    false => Verdict::Pull,
                    true if free => Verdict::Within,
                    true => flood.charge(entry.author.device, cost, *live, now.mono),
                };
                if !std::mem::take(&mut is_first) {
                    let (entries, bytes) = (1, entry.bytes.len() as u64);
                    more.insert(entry.author, before.and(Span { entries, bytes }));
                }
                if verdict != Verdict::Within {
                    passed.push((held.clone(), verdict));
                }
                verdict == Verdict::Within
            });
        } else {
            offered.passed = 1;
            passed.push((held, verdict));
        }
        for (held, verdict) in passed {
            self.passed_over(&held, verdict, now);
        }
        offered
    }

    /// An entry was passed over, since its device is over its allowance or was a moment ago: the user is told of a flood once, and the
    /// conversation is looked at again in time.
    fn passed_over(&mut self, held: &Held, verdict: Verdict, now: Now) {
        let entry = &held.entry;
        if let Some(from) = held.from.filter(|_| held.live) {
            // What it sends it holds, so that is where to pull it from later.
            let heights = Heights([(entry.author, entry.seq)].into());
            self.heights_told(from, &entry.conversation, heights);
        }
        let at = match verdict {
            Verdict::Within => return,
            Verdict::Pull => {
                let at = &mut self.talk(&entry.conversation).sync.flood_at;
                *at.get_or_insert(now.mono.plus(FLOOD_LIVE_MS))
            }
            Verdict::Over { until, news } => {
                if news {
                    self.tell_flooding(entry.author.device);
                }
                until
            }
        };
        self.talk(&entry.conversation).sync.look_by(at);
        self.retime = true;
    }

    fn tell_flooding(&mut self, device: DeviceId) {
        let who = match self.peers.get(&device) {
            Some(peer) => peer.user.to_string(),
            None if device == self.me.device => "somebody under this device's name".into(),
            None => format!("device {device}"),
        };
        self.notice(
            Code::Flooding,
            format!(
                "{who} sends more than is taken at once: the rest comes in slowly, and after it what was written by those who have it already"
            ),
        );
    }

    /// Whether an author's next entries are of no use now, so that nothing is pulled for their sake: his device is over its allowance,
    /// or the next one is here and waits for one of such a device.
    pub(super) fn is_unwanted(&self, talk: &Talk, author: &Author, now: Now) -> bool {
        let waits = talk.sync.in_vain.get(author);
        self.flood.is_over(&author.device, now.mono)
            || waits.is_some_and(|next| *next == talk.replica.height(author).next())
    }
}
