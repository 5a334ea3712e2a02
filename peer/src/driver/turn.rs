//! What the loop waits for.

use std::time::{Duration, Instant};

use super::{Driver, Synced, TURN_MAX, keeping::Done, pace::Pace, ports::Incoming, request::Request};
use crate::{log::Disk, node::Input};

/// Something that one turn of the loop handles.
pub(super) enum Turn {
    /// None where the user's side has ended.
    Requests(Vec<Request>),
    Incoming(Vec<Incoming>),
    Synced(Synced),
    Kept(Done),
    Judged(Vec<Input>),
    Signed(Input),
    Due(Due),
    /// A link that was waited for has room.
    Room,
    Search,
    /// It is looked once more before the peer sleeps.
    Nothing,
}

/// Something that is to be done at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    Sync,
    Seal,
    Judge,
    KeepPeople,
    Tick,
    /// A link is waited for no longer.
    Room,
}

impl<D: Disk> Driver<D> {
    /// The next thing to handle.
    pub(super) async fn next_turn(&mut self) -> Turn {
        let crowded = self.crowded_link();
        let due = self.next_due(crowded.map(|(_, until)| until));
        let (quit_at, searching) = (self.quit_at, !self.searches.is_empty());
        let now = Instant::now();
        let looking = self.linger.looks(now);
        let (mut requests, mut batch) = (Vec::new(), Vec::new());
        let Self {
            channels,
            synced,
            keeping,
            pace,
            alarm,
            links,
            ..
        } = self;
        let crowded = crowded.and_then(|(link, _)| links.get(&link));
        let room = async {
            match crowded {
                Some(link) => link.room(TURN_MAX).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The user comes first, but for what is due: his prompt answers while a history comes in.
            biased;
            input = Pace::signed(&mut pace.signed, pace.first_of_burst) => Turn::Signed(input),
            () = alarm.until(due.map(|(at, _)| at), now) => Turn::Due(due.map_or(Due::Tick, |(_, what)| what)),
            _count = channels.requests.recv_many(&mut requests, TURN_MAX), if quit_at.is_none() && crowded.is_none() => Turn::Requests(requests),
            () = room => Turn::Room,
            Some(synced) = synced.1.recv() => Turn::Synced(synced),
            Some(done) = keeping.done.1.recv() => Turn::Kept(done),
            Some(inputs) = pace.judged.recv() => Turn::Judged(inputs),
            count = channels.incoming.recv_many(&mut batch, TURN_MAX), if true => {
                debug_assert!(count > 0, "the wire outlives the driver");
                Turn::Incoming(batch)
            }
            () = tokio::task::yield_now(), if searching => Turn::Search,
            () = tokio::task::yield_now(), if looking => Turn::Nothing,
        }
    }

    /// What is to be done next, and when.
    fn next_due(&self, room: Option<Instant>) -> Option<(Instant, Due)> {
        let tick = self.core.node().next_due();
        let dues = [
            (self.pace.seal_at, Due::Seal),
            (self.commit.at(), Due::Sync),
            (self.pace.judge_at, Due::Judge),
            (self.people.keep_at, Due::KeepPeople),
            (tick.map(|tick| self.started + Duration::from_millis(tick.0)), Due::Tick),
            (self.quit_at, Due::Tick),
            (self.waiting.next_end(), Due::Tick),
            (room, Due::Room),
        ];
        let dues = dues.into_iter().filter_map(|(at, what)| Some((at?, what)));
        dues.min_by_key(|(at, _)| *at)
    }
}
