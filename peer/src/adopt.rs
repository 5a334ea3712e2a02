//! `peerchat adopt`: takes conversations along from one authority to another, by the user's word.
//!
//! A conversation belongs to the authority that says who is who in it. So nothing of it becomes part of another one: the user sees it above
//! what is said under the same name at the other authority, and nobody is given it. The file `earlier` in the conversation's folder says so.

mod plan;

use std::io::{self, BufRead, Write};

use zeroize::Zeroizing;

use self::plan::Plan;
use crate::{
    chat::ChatError,
    config::AdoptConfig,
    credentials::Credentials,
    folder::{
        UserFolder,
        places::{self, Place},
    },
    inspect::{InspectError, which},
    log::{self, Disk as _, EARLIER_MAX, IoError, RealDisk, Shelved},
    node::{
        Identity,
        people::People,
        types::{Authority, Conversation},
    },
    state::{self, State},
};

/// The invitation to a private room, beside its log.
const INVITATION: &str = "invitation";
/// An invitation is shorter.
const INVITATION_BYTES_MAX: usize = 4096;
/// An answer is shorter.
const ANSWER_BYTES_MAX: u64 = 64;

/// Nothing is taken along.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// What was named is not there.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] ChatError),
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] IoError),
    /// There is no other authority.
    #[error(
        "{user} has conversations under {}; to take some along, chat once at a registry of the other authority",
        there.first().map_or("no authority yet".to_owned(), |one| format!("one authority only ({one})"))
    )]
    OneAuthority {
        /// The user.
        user: String,
        /// Those that are there.
        there: Vec<Authority>,
    },
    /// It is not clear from where.
    #[error(
        "say with --from which authority the conversations are of; there are: {}",
        list(there)
    )]
    WhichFrom {
        /// Those that it can be.
        there: Vec<Authority>,
    },
    /// Both are the same.
    #[error("{0} is what the conversations would be taken along from and to; name another one with --from or --to")]
    Same(Authority),
    /// A conversation has as many behind it as it can have.
    #[error("{title} has been taken along {EARLIER_MAX} times; it cannot be once more")]
    TooMany {
        /// Which.
        title: String,
    },
    /// The user does not want it.
    #[error("nothing was taken along")]
    NotWanted,
    /// Nothing can be asked.
    #[error("cannot ask: {0}")]
    Ask(#[from] io::Error),
}

fn list(authorities: &[Authority]) -> String {
    let all: Vec<String> = authorities.iter().map(Authority::to_string).collect();
    all.join(" ")
}

/// Shows what is under both authorities, asks whether the named conversations are to be taken along, and does it. Where none is named it
/// only shows.
///
/// # Errors
/// An [`AdoptError`]; nothing is taken along then, or what was written before the disk refused.
pub fn run(config: &AdoptConfig, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), AdoptError> {
    let user = &config.logs.user;
    let folder = which::existing(&config.logs)?;
    // A peer that runs would not see it, and writes the same files.
    let _alone = UserFolder::open(&config.logs.data, user).map_err(ChatError::from)?;
    let (from, to) = authorities(config)?;
    let credentials = Credentials::load(&folder, user, None).map_err(ChatError::from)?;
    let me = Identity {
        user: user.clone(),
        device: credentials.device(),
    };
    let plan = Plan::read(config, &from, &to, &me)?;
    plan.show(out)?;
    if config.conversations.is_empty() {
        writeln!(
            out,
            "\nName those that are to be taken along: peerchat adopt '#room' @user --user {user}"
        )?;
        return Ok(());
    }
    if config.undo {
        for (shelved, _) in &plan.conversations {
            forget(shelved, &from, &to, &me)?;
        }
        writeln!(out, "\nWhat was taken along of these is not shown any longer.")?;
        return Ok(());
    }
    if !config.yes && !is_wanted(input, out)? {
        return Err(AdoptError::NotWanted);
    }
    for (shelved, _) in &plan.conversations {
        adopt(shelved, &from, &to, &me)?;
    }
    enter(&plan, &to)?;
    remember(&plan, &from, &to, &me)?;
    writeln!(out, "Done: the next chat there shows them.")?;
    Ok(())
}

/// From which authority to which.
fn authorities(config: &AdoptConfig) -> Result<(Place, Place), AdoptError> {
    let folder = which::existing(&config.logs)?;
    let all = places::all(&folder)?;
    let one = |named: &Option<String>| -> Result<Option<Place>, AdoptError> {
        let Some(named) = named else { return Ok(None) };
        let mut logs = config.logs.clone();
        logs.authority = Some(named.clone());
        Ok(which::one(&logs)?)
    };
    let last = places::last(&folder)?;
    let to = match one(&config.to)? {
        Some(to) => Some(to),
        None => all.iter().find(|place| Some(place.authority) == last).cloned(),
    };
    let there: Vec<Authority> = all.iter().map(|place| place.authority).collect();
    let Some(to) = to.filter(|_| there.len() > 1) else {
        let user = config.logs.user.to_string();
        return Err(AdoptError::OneAuthority { user, there });
    };
    let from = match one(&config.from)? {
        Some(from) => from,
        None => {
            let mut others = all.into_iter().filter(|place| place.authority != to.authority);
            let from = others.next().filter(|_| others.next().is_none());
            from.ok_or(AdoptError::WhichFrom { there })?
        }
    };
    if from.authority == to.authority {
        return Err(AdoptError::Same(to.authority));
    }
    Ok((from, to))
}

fn is_wanted(input: &mut dyn BufRead, out: &mut dyn Write) -> Result<bool, AdoptError> {
    write!(out, "\nTake them along? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::Read::take(input, ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Writes that a conversation has the one of the other authority behind it, with all that this one has.
fn adopt(from: &Shelved, old: &Place, new: &Place, me: &Identity) -> Result<(), AdoptError> {
    let disk = RealDisk;
    let folder = log::prepare(&disk, &new.folder, &me.user, &from.conversation)?;
    let mut earlier = log::read_earlier(&disk, &from.folder)?;
    earlier.push(old.authority);
    let kept = log::read_earlier(&disk, &folder)?;
    let new_ones: Vec<_> = earlier
        .into_iter()
        .filter(|one| *one != new.authority && !kept.contains(one))
        .collect();
    let all: Vec<_> = kept.into_iter().chain(new_ones).collect();
    if all.len() > EARLIER_MAX {
        let title = from.conversation.title(&me.user);
        return Err(AdoptError::TooMany { title });
    }
    let (mine, theirs) = (folder.join(INVITATION), from.folder.join(INVITATION));
    if disk.read_small(&mine, INVITATION_BYTES_MAX)?.is_none()
        && let Some(invitation) = disk.read_small(&theirs, INVITATION_BYTES_MAX)?.map(Zeroizing::new)
    {
        disk.replace(&mine, &invitation)?;
    }
    log::write_earlier(&disk, &folder, &all)?;
    for above in folder.ancestors().skip(1).take(2) {
        disk.sync_folder(above)?;
    }
    Ok(())
}

/// Takes back what [`adopt`] has written of this authority.
fn forget(from: &Shelved, old: &Place, new: &Place, me: &Identity) -> Result<(), AdoptError> {
    let folder = new.folder.join(log::folder_of(&from.conversation, &me.user));
    let mut earlier = log::read_earlier(&RealDisk, &folder)?;
    if earlier.contains(&old.authority) {
        earlier.retain(|one| *one != old.authority);
        log::write_earlier(&RealDisk, &folder, &earlier)?;
    }
    Ok(())
}

/// Lets the next chat enter the rooms, and begin in the first of the conversations where it would begin in none.
fn enter(plan: &Plan<'_>, to: &Place) -> Result<(), AdoptError> {
    let mut state = State::load(&RealDisk, &to.folder)?;
    let mut memberships = state.memberships();
    let mut is_new = false;
    for (shelved, _) in &plan.conversations {
        if let Conversation::Room(room) = &shelved.conversation {
            is_new |= memberships.set(room, true).is_some();
        }
    }
    if state.current(&plan.me.user).is_none()
        && let Some((shelved, _)) = plan.conversations.first()
    {
        is_new |= state.set_current(&shelved.conversation, &plan.me.user);
    }
    if is_new {
        state.set_memberships(&memberships);
        RealDisk.replace(&to.folder.join(state::FILE), &state.bytes())?;
    }
    Ok(())
}

/// Keeps the devices of who is taken along, so that the user is told where another one comes under the same name.
fn remember(plan: &Plan<'_>, from: &Place, to: &Place, me: &Identity) -> Result<(), AdoptError> {
    let people = |place: &Place| state::people::load(&RealDisk, &place.folder, me).map(|(people, _)| people);
    let (old, new) = (people(from)?, people(to)?);
    let mut all: Vec<_> = new
        .all()
        .into_iter()
        .map(|(user, person)| (user.clone(), person.clone()))
        .collect();
    let before = all.len();
    for (shelved, _) in &plan.conversations {
        let Conversation::Direct(pair) = &shelved.conversation else {
            continue;
        };
        let known = old.all().into_iter().find(|(user, _)| *user == pair.other(&me.user));
        let known = known.filter(|(user, _)| !new.knows(user));
        all.extend(known.map(|(user, person)| (user.clone(), person.clone())));
    }
    if all.len() == before {
        return Ok(());
    }
    // Where there are as many people as may be, who comes is met anew.
    if let Some(people) = People::remembered(me.clone(), all) {
        let bytes = state::people::bytes(&people);
        RealDisk.replace(&to.folder.join(state::people::FILE), &bytes)?;
    }
    Ok(())
}
