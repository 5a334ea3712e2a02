//! Calls of the table as arguments of the script, and what it answers and tells as values of the table. Bytes are written in
//! hexadecimal, so that an operator can read what is stored.

use std::{collections::BTreeMap, net::IpAddr};

use data_encoding::HEXLOWER;
use peerchat_proto::names::{RoomName, UserName};
use redis::Value;

use crate::{
    address::Address,
    routes::{
        Answer, AttemptOutcome, Change, Command, DeviceId, Found, Joined, LeaseEnd, LeaseToken, Liveness, Note, Page,
        Peer, Query, Refusal, Told, limits,
    },
};

/// What the script answers to a call.
#[derive(Debug)]
pub(super) struct Reply {
    /// Which table it is.
    pub(super) epoch: String,
    /// How much it has told this registry.
    pub(super) told: u64,
    /// Nothing is left whose time is up.
    pub(super) all: bool,
    word: String,
    rest: Vec<Value>,
}

/// What the table tells a registry.
#[derive(Debug, Clone)]
pub(super) enum News {
    Tell {
        to: Vec<LeaseToken>,
        change: Change,
    },
    TellAll(Change),
    Ended {
        lease: LeaseToken,
        peer: Peer,
        end: LeaseEnd,
    },
    RoomCreated {
        room: RoomName,
        by: UserName,
    },
    RoomDismissed {
        room: RoomName,
    },
    Said {
        note: Note,
    },
}

pub(super) fn words<const N: usize>(words: [&str; N]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

pub(super) fn command(command: &Command) -> Vec<Vec<u8>> {
    match command {
        Command::LogIn { peer, token } => words([
            "log_in",
            &hex(&token.0),
            &hex(&peer.device.0),
            peer.user.key(),
            peer.user.shown(),
            peer.address.as_str(),
        ]),
        Command::LogOut { lease } => words(["log_out", &hex(&lease.0)]),
        Command::Renew { lease, users } => {
            let mut renew = words(["renew", &hex(&lease.0)]);
            renew.extend(users.iter().flat_map(|user| words([user.key(), user.shown()])));
            renew
        }
        Command::JoinRoom { lease, room } => words(["join_room", &hex(&lease.0), room.as_str()]),
        Command::LeaveRoom { lease, room } => words(["leave_room", &hex(&lease.0), room.as_str()]),
        Command::StreamLost { lease } => words(["stream_lost", &hex(&lease.0)]),
        Command::Revoke { device } => words(["revoke", &hex(&device.0)]),
        Command::TellAttempt {
            user,
            device,
            from,
            outcome,
        } => words([
            "tell_attempt",
            user.key(),
            &hex(&device.0),
            &from.to_string(),
            outcome_word(*outcome),
        ]),
        Command::Say { note } => words(["say", &hex(note.bytes())]),
        Command::Expire => words(["live"]),
    }
}

pub(super) fn query(query: &Query) -> Vec<Vec<u8>> {
    match query {
        Query::Find { lease, user } => words(["find", &hex(&lease.0), user.key()]),
        Query::ListRooms { lease, after, page } => {
            let after = after.as_ref().map_or("", RoomName::as_str);
            words([
                "list_rooms",
                &hex(&lease.0),
                after,
                &(*page).min(limits::PAGE_MAX).to_string(),
            ])
        }
        Query::Who { lease } => words(["who", &hex(&lease.0)]),
        Query::Live { devices } => {
            let mut live = words(["live"]);
            live.extend(devices.iter().map(|device| hex(&device.0).into_bytes()));
            live
        }
    }
}

impl Reply {
    /// None where it is none of the script's.
    pub(super) fn read(value: Value) -> Option<Self> {
        let [epoch, told, all, answer] = <[Value; 4]>::try_from(array(value)?).ok()?;
        let mut answer = match answer {
            Value::Array(answer) => answer.into_iter(),
            word => vec![word].into_iter(),
        };
        Some(Self {
            epoch: text(epoch)?,
            told: text(told)?.parse().ok()?,
            all: text(all)? == "1",
            word: text(answer.next()?)?,
            rest: answer.collect(),
        })
    }

    /// What the script calls its answer.
    #[cfg(test)]
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// As the answer to a command.
    pub(super) fn answer(self, command: &Command) -> Option<Result<Answer, Refusal>> {
        let word = self.word.as_str();
        let refusal = match (word, command) {
            ("done" | "live", _) => return Some(Ok(Answer::Done)),
            ("joined", _) => {
                let [created, peers] = <[Value; 2]>::try_from(self.rest).ok()?;
                let created = text(created)? == "1";
                let mut members = read_peers(peers)?;
                members.sort_by(|a, b| (&a.user, a.device).cmp(&(&b.user, b.device)));
                return Some(Ok(Answer::Joined(Joined { created, members })));
            }
            ("left", _) => return Some(Ok(Answer::Left(text(self.rest.into_iter().next()?)? == "1"))),
            ("unknown_lease", _) => Refusal::UnknownLease,
            ("leases_full", _) => Refusal::LeasesFull,
            ("rooms_full", _) => Refusal::RoomsFull,
            ("rooms_per_lease", _) => Refusal::RoomsPerLease,
            ("watched_full", _) => Refusal::WatchedFull,
            ("room_full", Command::JoinRoom { room, .. }) => Refusal::RoomFull(room.clone()),
            ("not_in_room", Command::LeaveRoom { room, .. }) => Refusal::NotInRoom(room.clone()),
            _ => return None,
        };
        Some(Err(refusal))
    }

    /// As the answer to a query.
    pub(super) fn told(self, query: &Query) -> Option<Result<Told, Refusal>> {
        let mut rest = self.rest.into_iter();
        let told = match (self.word.as_str(), query) {
            ("found", _) => {
                let user = UserName::new(&text(rest.next()?)?).ok()?;
                let peers = read_peers(rest.next()?)?;
                Told::Found(Found { user, peers })
            }
            ("page", _) => {
                let more = text(rest.next()?)? == "1";
                let rooms = texts(rest.next()?)?;
                let room = |pair: &[String]| Some((RoomName::at_registry(&pair[0]).ok()?, pair[1].parse().ok()?));
                let rooms = rooms.chunks_exact(2).map(room).collect::<Option<Vec<_>>>()?;
                Told::Page(Page { rooms, more })
            }
            ("holder", _) => {
                let device = device(&text(rest.next()?)?)?;
                Told::Holder(device, UserName::new(&text(rest.next()?)?).ok()?)
            }
            ("live", _) => {
                let live = texts(rest.next()?)?;
                Told::Live(live.iter().map(|live| device(live)).collect::<Option<_>>()?)
            }
            ("unknown_lease", _) => return Some(Err(Refusal::UnknownLease)),
            ("unknown_user", Query::Find { user, .. }) => return Some(Err(Refusal::UnknownUser(user.clone()))),
            _ => return None,
        };
        Some(Ok(told))
    }
}

/// An answer to `XREAD` of one queue: numbers, and what is told.
pub(super) fn news(value: Value) -> Option<Vec<(u64, News)>> {
    let Some(queue) = array(value).unwrap_or_default().into_iter().next() else {
        // Nothing came in time.
        return Some(Vec::new());
    };
    let [_, entries] = <[Value; 2]>::try_from(array(queue)?).ok()?;
    let entry = |entry: Value| {
        let [id, fields] = <[Value; 2]>::try_from(array(entry)?).ok()?;
        let number = text(id)?.strip_prefix("0-")?.parse().ok()?;
        Some((number, one(&texts(fields)?)?))
    };
    array(entries)?.into_iter().map(entry).collect()
}

fn one(fields: &[String]) -> Option<News> {
    let fields: BTreeMap<&str, &str> = fields.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).collect();
    let get = |name: &str| fields.get(name).copied();
    let peer = || read_peer(get("u")?, get("d")?, get("a")?);
    let user = || UserName::new(get("u")?).ok();
    let room = || RoomName::at_registry(get("r")?).ok();
    let liveness = || {
        Some(match get("l")? {
            "here" => Liveness::Here,
            "left" => Liveness::Left,
            "lost" => Liveness::Lost,
            _ => return None,
        })
    };
    let change = match get("is")? {
        "presence" => Change::Presence {
            peer: peer()?,
            liveness: liveness()?,
        },
        "room" => Change::Room {
            room: room()?,
            peer: peer()?,
            liveness: liveness()?,
        },
        "offline" => Change::Offline { user: user()? },
        "attempt" => Change::Attempt {
            device: device(get("d")?)?,
            from: get("from")?.parse::<IpAddr>().ok()?,
            outcome: OUTCOMES.into_iter().find(|(_, word)| Some(*word) == get("outcome"))?.0,
        },
        "revoked" => {
            let devices = vec![device(get("d")?)?];
            return Some(News::TellAll(Change::Revoked { devices }));
        }
        "created" => {
            let (room, by) = (room()?, user()?);
            return Some(News::RoomCreated { room, by });
        }
        "dismissed" => return Some(News::RoomDismissed { room: room()? }),
        "said" => {
            let note = HEXLOWER.decode(get("note")?.as_bytes()).ok()?;
            return Some(News::Said { note: Note::new(note)? });
        }
        "ended" => {
            let end = match get("why")? {
                "logged_out" => LeaseEnd::LoggedOut,
                "replaced" => LeaseEnd::Replaced,
                "lost" => LeaseEnd::Lost,
                "revoked" => LeaseEnd::Revoked,
                _ => return None,
            };
            let (lease, peer) = (token(get("to")?)?, peer()?);
            return Some(News::Ended { lease, peer, end });
        }
        _ => return None,
    };
    let to = get("to")?
        .as_bytes()
        .chunks(32)
        .map(|token| self::token(std::str::from_utf8(token).ok()?));
    let to = to.collect::<Option<_>>()?;
    Some(News::Tell { to, change })
}

const OUTCOMES: [(AttemptOutcome, &str); 4] = [
    (AttemptOutcome::Refused, "refused"),
    (AttemptOutcome::WrongPassword, "wrong_password"),
    (AttemptOutcome::Waits, "waits"),
    (AttemptOutcome::Added, "added"),
];

fn outcome_word(outcome: AttemptOutcome) -> &'static str {
    OUTCOMES
        .iter()
        .find(|(of, _)| *of == outcome)
        .map_or("", |(_, word)| word)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(super) fn token(text: &str) -> Option<LeaseToken> {
    Some(LeaseToken(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?))
}

pub(super) fn device(text: &str) -> Option<DeviceId> {
    Some(DeviceId(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?))
}

/// User, device, address, user, device, address, …
fn read_peers(value: Value) -> Option<Vec<Peer>> {
    let fields = texts(value)?;
    fields
        .chunks_exact(3)
        .map(|peer| read_peer(&peer[0], &peer[1], &peer[2]))
        .collect()
}

pub(super) fn read_peer(user: &str, of: &str, address: &str) -> Option<Peer> {
    Some(Peer {
        user: UserName::new(user).ok()?,
        device: device(of)?,
        address: Address::new(address, None).ok()?,
    })
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn texts(value: Value) -> Option<Vec<String>> {
    array(value)?.into_iter().map(text).collect()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}
