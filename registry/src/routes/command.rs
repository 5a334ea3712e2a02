//! Calls of the table as plain data. An engine that keeps the table elsewhere, or several times, passes these on: the same commands in
//! the same order and with the same times make the same table, and tell everybody the same.

use std::{collections::BTreeSet, net::IpAddr};

use peerchat_proto::names::{RoomName, UserName};

use super::{
    AttemptOutcome, DeviceId, Effect, Found, Joined, LeaseToken, Millis, Note, Page, Peer, Refusal, Routes, Step,
};

/// What changes the table, or is told to those who watch. Time passes first in each of them.
#[derive(Debug, Clone)]
pub enum Command {
    /// [`Routes::log_in`]
    LogIn {
        /// Who.
        peer: Peer,
        /// The name of the new lease.
        token: LeaseToken,
    },
    /// [`Routes::log_out`]
    LogOut {
        /// Which lease.
        lease: LeaseToken,
    },
    /// [`Routes::renew`]
    Renew {
        /// Which lease.
        lease: LeaseToken,
        /// Whom its holder watches from now on, too.
        users: Vec<UserName>,
    },
    /// [`Routes::join_room`]
    JoinRoom {
        /// Whose lease.
        lease: LeaseToken,
        /// Which room.
        room: RoomName,
    },
    /// [`Routes::leave_room`]
    LeaveRoom {
        /// Whose lease.
        lease: LeaseToken,
        /// Which room.
        room: RoomName,
    },
    /// [`Routes::stream_lost`]
    StreamLost {
        /// Whose.
        lease: LeaseToken,
    },
    /// [`Routes::revoke`]
    Revoke {
        /// Which device.
        device: DeviceId,
    },
    /// [`Routes::tell_attempt`]
    TellAttempt {
        /// Whose devices are told.
        user: UserName,
        /// Which device tried.
        device: DeviceId,
        /// From where.
        from: IpAddr,
        /// What became of it.
        outcome: AttemptOutcome,
    },
    /// Tells all registries that share the table what one of them has to say. It changes nothing.
    Say {
        /// What.
        note: Note,
    },
    /// [`Routes::expire`]: nothing but time.
    Expire,
}

/// What came of a [`Command`].
#[derive(Debug)]
pub enum Answer {
    /// Nothing needs to be said.
    Done,
    /// To [`Command::JoinRoom`].
    Joined(Joined),
    /// To [`Command::LeaveRoom`]: whether the room is there no longer.
    Left(bool),
}

/// What changes nothing.
#[derive(Debug, Clone)]
pub enum Query {
    /// [`Routes::find`]
    Find {
        /// Who asks.
        lease: LeaseToken,
        /// For whom.
        user: UserName,
    },
    /// [`Routes::list_rooms`]
    ListRooms {
        /// Who asks.
        lease: LeaseToken,
        /// The room before the first one that is told.
        after: Option<RoomName>,
        /// How many are told at most.
        page: usize,
    },
    /// [`Routes::who`]
    Who {
        /// Whose lease.
        lease: LeaseToken,
    },
    /// [`Routes::is_live`]
    Live {
        /// Of which devices.
        devices: Vec<DeviceId>,
    },
}

/// The answer to a [`Query`].
#[derive(Debug, Clone)]
pub enum Told {
    /// To [`Query::Find`].
    Found(Found),
    /// To [`Query::ListRooms`].
    Page(Page),
    /// To [`Query::Who`].
    Holder(DeviceId, UserName),
    /// To [`Query::Live`]: those that have a lease.
    Live(BTreeSet<DeviceId>),
}

impl Routes {
    /// Carries out a command.
    pub fn apply(&mut self, command: Command, now: Millis) -> Step<Answer> {
        let done = |effects| Step {
            answer: Ok(Answer::Done),
            effects,
        };
        match command {
            Command::LogIn { peer, token } => self.log_in(peer, token, now).map(|()| Answer::Done),
            Command::LogOut { lease } => self.log_out(lease, now).map(|()| Answer::Done),
            Command::Renew { lease, users } => self.renew(lease, &users, now).map(|()| Answer::Done),
            Command::JoinRoom { lease, room } => self.join_room(lease, &room, now).map(Answer::Joined),
            Command::LeaveRoom { lease, room } => self.leave_room(lease, &room, now).map(Answer::Left),
            Command::StreamLost { lease } => {
                let effects = self.expire(now);
                self.stream_lost(lease, now);
                done(effects)
            }
            Command::Revoke { device } => done(self.revoke(device, now)),
            Command::TellAttempt {
                user,
                device,
                from,
                outcome,
            } => {
                let mut effects = self.expire(now);
                effects.extend(self.tell_attempt(&user, device, from, outcome));
                done(effects)
            }
            Command::Say { note } => {
                let mut effects = self.expire(now);
                effects.push(Effect::Said { note });
                done(effects)
            }
            Command::Expire => done(self.expire(now)),
        }
    }

    /// Answers a query with what the table has. Whoever asks of a time makes it pass first.
    ///
    /// # Errors
    /// As those of the call that the query names.
    pub fn look(&self, query: &Query) -> Result<Told, Refusal> {
        Ok(match query {
            Query::Find { lease, user } => Told::Found(self.find(*lease, user)?),
            Query::ListRooms { lease, after, page } => Told::Page(self.list_rooms(*lease, after.as_ref(), *page)?),
            Query::Who { lease } => {
                let (device, user) = self.who(*lease)?;
                Told::Holder(device, user)
            }
            Query::Live { devices } => {
                let live = devices.iter().copied().filter(|device| self.is_live(*device));
                Told::Live(live.collect())
            }
        })
    }
}
