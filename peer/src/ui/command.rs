//! What a typed line says. Pure; one table of commands drives reading, help and completion.

mod table;

pub use self::table::COMMANDS;
use crate::driver::request::AccountAsk;
use crate::node::{
    door::{Called, Door, DoorError},
    event::{Code, Notice},
    limits::TEXT_BYTES_MAX,
    people::Wish,
    private::Invitation,
    types::{NameError, RoomName, UserName},
};

/// How many entries `/history` shows when no number is given.
pub const HISTORY_DEFAULT: usize = 50;

/// The most entries that `/history` shows; more are refused.
pub const HISTORY_MAX: usize = 100_000;

/// The longest part of a mistyped name that an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// After the name of a room: it is to be private.
const PRIVATE: &str = "--private";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Nothing was typed.
    Nothing,
    /// A text for the current conversation.
    Text(String),
    /// Be in a room.
    Join(Door),
    /// Make a private room of this name.
    Create(RoomName),
    /// What others enter the current room with, which is private.
    Invite,
    /// Talk to a user.
    Msg {
        /// To whom.
        user: UserName,
        /// What to say at once.
        text: Option<String>,
    },
    /// Be in a conversation no longer; in the current one if none is named.
    Leave(Option<Target>),
    /// Make a conversation current.
    Switch(Target),
    /// What there is.
    List,
    /// Who is there.
    Who,
    /// How registries and links stand.
    Status,
    /// Show the last entries.
    History(usize),
    /// Show the entries that contain a text.
    Search(String),
    /// Show how much is held.
    Version,
    /// Something about the own account.
    Account(AccountAsk),
    /// Ask something about somebody.
    People(Wish),
    /// Explain one command, or all.
    Help(Option<&'static Spec>),
    /// End.
    Quit,
}

/// A conversation as it is named at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `#room`
    Room(RoomName),
    /// `#room:` and the beginning of the id of a private room.
    Private(Called),
    /// `@user`
    User(UserName),
    /// Without `#` and `@`: whichever of the two is there.
    Either {
        /// If it is a room.
        room: RoomName,
        /// If it is a user.
        user: UserName,
    },
}

/// A command.
#[derive(Debug)]
pub struct Spec {
    /// Its name without `/`.
    pub name: &'static str,
    /// What follows the name, as help shows it.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// How it is used, with what that does.
    pub examples: &'static [(&'static str, &'static str)],
    /// What its first argument can be completed to.
    pub completes: Completes,
    read: fn(&Spec, &str) -> Result<Command, Notice>,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Spec {}

/// What the first argument of a command can be completed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing.
    No,
    /// A room.
    Room,
    /// A user.
    User,
    /// A conversation that the user is in.
    Conversation,
    /// A command.
    Command,
}

/// Reads a line.
///
/// # Errors
/// What to tell the one who typed it.
pub fn read(line: &str) -> Result<Command, Notice> {
    if line.trim().is_empty() {
        return Ok(Command::Nothing);
    }
    let Some(rest) = line.strip_prefix('/') else {
        return checked_text(line).map(Command::Text);
    };
    if rest.starts_with('/') {
        return checked_text(rest).map(Command::Text);
    }
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let spec = find(name)?;
    (spec.read)(spec, rest.trim())
}

impl Spec {
    /// `/msg USER [TEXT]`
    pub fn usage(&self) -> String {
        format!("/{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    fn misused(&self) -> Notice {
        let example = self.examples.first().map(|(typed, _)| format!(", such as {typed}"));
        notice(
            Code::Usage,
            format!("it is {}{}", self.usage(), example.unwrap_or_default()),
        )
    }

    fn alone(&self, rest: &str, command: Command) -> Result<Command, Notice> {
        match rest {
            "" => Ok(command),
            _ => Err(notice(
                Code::Usage,
                format!("/{} stands alone; nothing follows it", self.name),
            )),
        }
    }
}

fn read_msg(spec: &Spec, rest: &str) -> Result<Command, Notice> {
    let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(spec.misused());
    }
    let user = user(name.strip_prefix('@').unwrap_or(name))?;
    let text = match text.trim_start() {
        "" => None,
        text => Some(checked_text(text)?),
    };
    Ok(Command::Msg { user, text })
}

/// A user, and nothing else.
fn only_user(spec: &Spec, rest: &str) -> Result<UserName, Notice> {
    let name = one_word(rest).ok_or_else(|| spec.misused())?;
    user(name.strip_prefix('@').unwrap_or(name))
}

fn read_untrust(spec: &Spec, rest: &str) -> Result<Command, Notice> {
    let wish = match rest.split_once(char::is_whitespace) {
        None => Wish::Untrust(only_user(spec, rest)?),
        Some((name, device)) => {
            let device = one_word(device.trim_start()).ok_or_else(|| spec.misused())?;
            // The … is how the screen shortens an id, and may have been copied with it.
            let device = device.trim_end_matches('…');
            if device.is_empty() || !device.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(spec.misused());
            }
            Wish::Forget(only_user(spec, name)?, device.to_owned())
        }
    };
    Ok(Command::People(wish))
}

fn find(name: &str) -> Result<&'static Spec, Notice> {
    let nearest = nearest(name);
    if let Some(spec) = nearest.filter(|spec| spec.name == name.to_lowercase()) {
        return Ok(spec);
    }
    if name.is_empty() {
        let message =
            "a command follows the /, such as /join lobby; /help lists all; // sends a text that starts with /";
        return Err(notice(Code::NoSuchCommand, message.to_owned()));
    }
    let advice = match nearest {
        Some(spec) => format!("did you mean {}?", spec.usage()),
        None => "/help lists all; // sends a text that starts with /".to_owned(),
    };
    Err(notice(
        Code::NoSuchCommand,
        format!("there is no command /{}; {advice}", shortened(name)),
    ))
}

/// The command of this name, or the one that was most likely meant.
fn nearest(name: &str) -> Option<&'static Spec> {
    let lower = name.to_lowercase();
    // Beyond so many characters nothing is near, and comparing takes the product of the lengths.
    let near = |spec: &&Spec| strsim::jaro_winkler(spec.name, &lower);
    COMMANDS
        .iter()
        .filter(|spec| lower.len() < QUOTED_CHARS_MAX && near(spec) > 0.7)
        .max_by(|a, b| near(a).total_cmp(&near(b)))
}

/// Whether a line, right or wrong, is meant to make another conversation current.
pub fn goes_elsewhere(line: &str) -> bool {
    let name = line.strip_prefix('/').filter(|rest| !rest.starts_with('/'));
    let name = name.and_then(|rest| rest.split(char::is_whitespace).next());
    let spec = name.and_then(nearest);
    spec.is_some_and(|spec| matches!(spec.name, "join" | "msg" | "switch"))
}

fn target(name: &str) -> Result<Target, Notice> {
    let shown = name.strip_prefix('#').unwrap_or(name);
    if let Some(called) = Called::read(shown).map_err(|error| bad_name(shown, &error))? {
        Ok(Target::Private(called))
    } else if let Some(name) = name.strip_prefix('#') {
        room(name).map(Target::Room)
    } else if let Some(name) = name.strip_prefix('@') {
        user(name).map(Target::User)
    } else {
        Ok(Target::Either {
            room: room(name)?,
            user: user(name)?,
        })
    }
}

fn room(name: &str) -> Result<RoomName, Notice> {
    RoomName::new(name).map_err(|error| bad_name(name, &error))
}

fn door(text: &str) -> Result<Door, Notice> {
    Door::read(text).map_err(|error| match error {
        DoorError::Name(error) => bad_name(text.strip_prefix('#').unwrap_or(text), &error),
        DoorError::Invitation(error) => notice(Code::Usage, error.to_string()),
    })
}

fn read_join(spec: &Spec, rest: &str) -> Result<Command, Notice> {
    match *rest.split_whitespace().collect::<Vec<_>>() {
        [PRIVATE] | [PRIVATE, PRIVATE] => Err(spec.misused()),
        [name, PRIVATE] | [PRIVATE, name] => room(name.strip_prefix('#').unwrap_or(name)).map(Command::Create),
        [name] => door(name).map(Command::Join),
        _ => Err(spec.misused()),
    }
}

fn user(name: &str) -> Result<UserName, Notice> {
    UserName::new(name).map_err(|error| bad_name(name, &error))
}

fn bad_name(name: &str, error: &NameError) -> Notice {
    notice(Code::BadName, format!("{:?}: {error}", shortened(name)))
}

fn checked_text(text: &str) -> Result<String, Notice> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(text_too_long(text.len()));
    }
    Ok(text.to_owned())
}

/// The notice for a text over the limit.
pub fn text_too_long(found: usize) -> Notice {
    notice(
        Code::TextTooLong,
        format!("the text has {found} bytes; the limit is {TEXT_BYTES_MAX} (64 KiB)"),
    )
}

/// None where there is no word or more than one.
fn one_word(rest: &str) -> Option<&str> {
    (!rest.is_empty() && !rest.contains(char::is_whitespace)).then_some(rest)
}

/// The beginning of what was typed, to be quoted. Never a secret.
pub fn shortened(name: &str) -> String {
    let mut short: String = Invitation::without_secret(name)
        .chars()
        .take(QUOTED_CHARS_MAX)
        .collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

fn notice(code: Code, message: String) -> Notice {
    Notice { code, message }
}

#[cfg(test)]
mod tests;
