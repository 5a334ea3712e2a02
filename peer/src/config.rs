//! What the command line means: flags over the config file over defaults.

mod file;
mod registries;

use std::{env, io, path::PathBuf};

use etcetera::BaseStrategy as _;
use peerchat_identity::{Fingerprint, NoFingerprint};

use self::file::File;
pub use self::registries::RegistryChoice;
use crate::{
    cli,
    node::{
        door::{Called, Door, DoorError},
        limits::REGISTRIES_MAX,
        private::{Invitation, InvitationError},
        types::{NameError, RoomName, UserName},
    },
};

/// Where a registry is looked for.
pub const REGISTRY_DEFAULT: &str = "127.0.0.1:10001";

/// Where a peer listens.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:0";

/// All that `peerchat chat` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatConfig {
    /// The own user.
    pub user: UserName,
    /// HOST:PORT of each registry: any of them will do.
    pub registries: Vec<String>,
    /// In which order they are used.
    pub registry_choice: RegistryChoice,
    /// ADDR:PORT to listen at.
    pub listen: String,
    /// The folder that holds a folder per user.
    pub data: PathBuf,
    /// Rooms to enter at once.
    pub join: Vec<Door>,
    /// The HOST:PORT that others dial, where it is not the one that the registry sees.
    pub advertise: Option<String>,
    /// Speak JSON.
    pub json: bool,
    /// Host a registry where none answers at the only address, and that is a loopback one.
    pub host_registry: bool,
    /// Ring the terminal's bell when somebody names the own user.
    pub bell: bool,
    /// The fingerprint of the registry that is meant.
    pub registry_fingerprint: Option<Fingerprint>,
    /// The file with the account's password.
    pub password_file: Option<PathBuf>,
    /// The file with an invitation of the registry's operator.
    pub invitation_file: Option<PathBuf>,
}

/// Which log `peerchat log` prints, or all of which user `peerchat verify` checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Whose.
    pub user: UserName,
    /// The folder that holds a folder per user.
    pub data: PathBuf,
    /// Under which authority, as it was named; otherwise the last one, or all.
    pub authority: Option<String>,
}

/// What `peerchat adopt` takes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptConfig {
    /// Whose logs.
    pub logs: LogConfig,
    /// From which authority, as it was named; otherwise the only other one.
    pub from: Option<String>,
    /// To which one; otherwise the last one.
    pub to: Option<String>,
    /// Which conversations.
    pub conversations: Vec<ConversationName>,
    /// Nothing is asked.
    pub yes: bool,
    /// Nothing is taken along any longer.
    pub undo: bool,
}

/// `#room` or `@user` as typed on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationName {
    /// `#room`
    Room(RoomName),
    /// `#room:` and the beginning of the id of a private room.
    Private(Called),
    /// `@user`
    User(UserName),
}

/// What is wrong with a command line or a config file. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No name anywhere.
    #[error("no name is given, and the system does not tell one; say who you are: peerchat chat NAME")]
    NoName,
    /// A user's or room's name breaks a rule.
    #[error("{origin}: {name:?} is no name: {error}")]
    Name {
        /// Where it was given.
        origin: String,
        /// The name.
        name: String,
        /// The rule.
        error: NameError,
    },
    /// An invitation that is none.
    #[error("{origin}: {error}")]
    Invitation {
        /// Where it was given.
        origin: String,
        /// What is wrong with it.
        error: InvitationError,
    },
    /// A conversation that starts with neither `#` nor `@`.
    #[error("{0:?} is no conversation; write '#room' or @user")]
    Conversation(String),
    /// Not HOST:PORT.
    #[error("{origin}: {found:?} is no address; it must be HOST:PORT, such as 127.0.0.1:10001 or [::1]:10001")]
    Address {
        /// Where it was given.
        origin: String,
        /// What was given.
        found: String,
    },
    /// A list of registries with nothing where one should be.
    #[error("{origin}: there is nothing between two commas, or in the whole list; it must be HOST:PORT,HOST:PORT,…")]
    EmptyRegistry {
        /// Where it was given.
        origin: String,
    },
    /// A registry that is in a list twice.
    #[error("{origin}: {address} is in the list twice")]
    SameRegistry {
        /// Where it was given.
        origin: String,
        /// Which.
        address: String,
    },
    /// More registries than a list may have.
    #[error("{origin}: {found} registries are given; there may be at most {REGISTRIES_MAX}")]
    ManyRegistries {
        /// Where they were given.
        origin: String,
        /// How many.
        found: usize,
    },
    /// No way to choose a registry.
    #[error("{origin}: {found:?} is no way to choose a registry; it must be first or spread")]
    RegistryChoice {
        /// Where it was given.
        origin: String,
        /// What was given.
        found: String,
    },
    /// Not a fingerprint.
    #[error("{origin}: {found:?} is no fingerprint: {error}")]
    Fingerprint {
        /// Where it was given.
        origin: String,
        /// What was given.
        found: String,
        /// What it should be.
        error: NoFingerprint,
    },
    /// The file is there and cannot be read.
    #[error("cannot read the config file {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that means nothing.
    #[error("{}: there is no key {key:?}; the nearest is {nearest:?}", path.display())]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The one that was probably meant.
        nearest: &'static str,
    },
    /// A value of the wrong type.
    #[error("{}: {key:?} must be {expected}, not {found}", path.display())]
    Type {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// There is no home folder to find the data folder from.
    #[error("the home folder is unknown ({0}); say where to keep data with --data DIR")]
    NoHome(etcetera::HomeDirError),
}

/// The config file of the user who runs this, whether or not it is there.
pub fn config_file() -> Option<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().ok()?;
    Some(dirs.config_dir().join("peerchat").join("config.toml"))
}

/// What `peerchat chat` means.
///
/// # Errors
/// What was given on the command line or in the file breaks a rule.
pub fn chat(typed: cli::Chat) -> Result<ChatConfig, ConfigError> {
    let file = file::read(config_file().as_deref())?;
    let system = ["USER", "LOGNAME"].into_iter().find_map(|key| env::var(key).ok());
    merge(typed, file, system)
}

/// Whose logs `peerchat log` and `peerchat verify` mean. The config file's data folder counts.
///
/// # Errors
/// The name breaks a rule, or so does the config file.
pub fn log(user: &str, data: Option<PathBuf>, authority: Option<String>) -> Result<LogConfig, ConfigError> {
    let file = file::read(config_file().as_deref())?;
    Ok(LogConfig {
        user: user_name("--user", user)?,
        data: data_folder(data.or(file.data))?,
        authority,
    })
}

/// Which conversations are taken along.
///
/// # Errors
/// A name breaks a rule, the config file cannot be read, or there is no folder for data.
pub fn adopt(typed: cli::Adopt) -> Result<AdoptConfig, ConfigError> {
    let conversations = typed.conversations.iter().map(|typed| conversation(typed));
    Ok(AdoptConfig {
        conversations: conversations.collect::<Result<_, _>>()?,
        logs: log(&typed.user, typed.data, None)?,
        from: typed.from,
        to: typed.to,
        yes: typed.yes,
        undo: typed.undo,
    })
}

/// A conversation as typed on the command line.
///
/// # Errors
/// There is neither `#` nor `@` in front, or the name breaks a rule.
pub fn conversation(typed: &str) -> Result<ConversationName, ConfigError> {
    if let Some(user) = typed.strip_prefix('@') {
        Ok(ConversationName::User(user_name("CONVERSATION", user)?))
    } else if let Some(room) = typed.strip_prefix('#') {
        let named = |error| name_error("CONVERSATION", room, error);
        Ok(match Called::read(room).map_err(named)? {
            Some(called) => ConversationName::Private(called),
            None => ConversationName::Room(RoomName::new(room).map_err(named)?),
        })
    } else {
        Err(ConfigError::Conversation(typed.to_owned()))
    }
}

fn merge(typed: cli::Chat, file: File, system: Option<String>) -> Result<ChatConfig, ConfigError> {
    let origin = |flag: &str, by_flag: bool| match by_flag {
        true => flag.to_owned(),
        false => format!("{} in {}", flag.trim_start_matches('-'), file.path.display()),
    };
    let user = match (typed.name, file.name, system) {
        (Some(name), ..) => user_name("NAME", &name)?,
        (None, Some(name), _) => user_name(&origin("name", false), &name)?,
        (None, None, Some(name)) => user_name("the system's user name", &name)?,
        (None, None, None) => return Err(ConfigError::NoName),
    };
    let address = |flag: &str, typed: Option<String>, filed: Option<String>| {
        let origin = origin(flag, typed.is_some());
        typed.or(filed).map(|found| checked_address(origin, found)).transpose()
    };
    let fingerprint_origin = origin("--registry-fingerprint", typed.registry_fingerprint.is_some());
    let fingerprint = typed.registry_fingerprint.or(file.registry_fingerprint);
    let fingerprint = fingerprint.map(|found| {
        found.parse().map_err(|error| ConfigError::Fingerprint {
            origin: fingerprint_origin,
            found,
            error,
        })
    });
    let fingerprint = fingerprint.transpose()?;
    let registry_origin = origin("--registry", !typed.registry.is_empty());
    let registry = match typed.registry.is_empty() {
        true => file.registry,
        false => Some(typed.registry),
    };
    let registry = registry.unwrap_or_else(|| vec![REGISTRY_DEFAULT.to_owned()]);
    let choice_origin = origin("--registry-choice", typed.registry_choice.is_some());
    let choice = typed.registry_choice.or(file.registry_choice);
    let join_origin = origin("--join", !typed.join.is_empty());
    let join = if typed.join.is_empty() { file.join } else { typed.join };
    Ok(ChatConfig {
        user,
        registries: registries::read(&registry_origin, &registry)?,
        registry_choice: registries::choice(&choice_origin, choice.as_deref())?,
        listen: address("--listen", typed.listen, file.listen)?.unwrap_or_else(|| LISTEN_DEFAULT.into()),
        advertise: address("--advertise", typed.advertise, file.advertise)?,
        data: data_folder(typed.data.or(file.data))?,
        join: join
            .iter()
            .map(|room| door(&join_origin, room))
            .collect::<Result<_, _>>()?,
        json: typed.json.unwrap_or(file.json),
        bell: file.bell,
        registry_fingerprint: fingerprint,
        password_file: typed.password_file.or(file.password_file),
        invitation_file: typed.invitation_file.or(file.invitation_file),
        host_registry: !typed.no_host_registry.unwrap_or(file.no_host_registry),
    })
}

fn user_name(origin: &str, name: &str) -> Result<UserName, ConfigError> {
    UserName::new(name).map_err(|error| name_error(origin, name, error))
}

fn name_error(origin: &str, name: &str, error: NameError) -> ConfigError {
    ConfigError::Name {
        origin: origin.to_owned(),
        name: Invitation::without_secret(name).to_owned(),
        error,
    }
}

/// `#` in front is optional: a shell takes it for a comment.
fn door(origin: &str, text: &str) -> Result<Door, ConfigError> {
    Door::read(text).map_err(|error| match error {
        DoorError::Name(error) => name_error(origin, text, error),
        DoorError::Invitation(error) => ConfigError::Invitation {
            origin: origin.to_owned(),
            error,
        },
    })
}

fn checked_address(origin: String, found: String) -> Result<String, ConfigError> {
    let parts = found.rsplit_once(':');
    let is_bare_v6 = |host: &str| host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    match parts {
        Some((host, port)) if !host.is_empty() && !is_bare_v6(host) && port.parse::<u16>().is_ok() => Ok(found),
        _ => Err(ConfigError::Address { origin, found }),
    }
}

fn data_folder(given: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    match given {
        Some(data) => Ok(data),
        None => {
            let dirs = etcetera::base_strategy::Xdg::new().map_err(ConfigError::NoHome)?;
            Ok(dirs.data_dir().join("peerchat"))
        }
    }
}

#[cfg(test)]
mod tests;
