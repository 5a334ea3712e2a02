//! What the command line means: flags over the config file over defaults.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;

use crate::{
    cli,
    node::types::{NameError, RoomName, UserName},
};

/// Where a registry is looked for.
pub const REGISTRY_DEFAULT: &str = "127.0.0.1:10001";

/// Where a peer listens.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:0";

/// What the config file may set: under their names, what the flags set; and what is a matter of taste and has no flag.
const KEYS: [&str; 9] = [
    "name",
    "registry",
    "listen",
    "data",
    "join",
    "advertise",
    "json",
    "no-host-registry",
    "bell",
];

/// All that `peerchat chat` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatConfig {
    /// The own user.
    pub user: UserName,
    /// HOST:PORT of the registry.
    pub registry: String,
    /// ADDR:PORT to listen at.
    pub listen: String,
    /// The folder that holds a folder per user.
    pub data: PathBuf,
    /// Rooms to enter at once.
    pub join: Vec<RoomName>,
    /// The HOST:PORT that others dial, where it is not the one that the registry sees.
    pub advertise: Option<String>,
    /// Speak JSON.
    pub json: bool,
    /// Host a registry where none answers at a loopback address.
    pub host_registry: bool,
    /// Ring the terminal's bell when somebody names the own user.
    pub bell: bool,
}

/// Which log `peerchat log` prints, or all of which user `peerchat verify` checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Whose.
    pub user: UserName,
    /// The folder that holds a folder per user.
    pub data: PathBuf,
}

/// `#room` or `@user` as typed on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationName {
    /// `#room`
    Room(RoomName),
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
    let file = read_file(config_file().as_deref())?;
    let system = ["USER", "LOGNAME"].into_iter().find_map(|key| env::var(key).ok());
    merge(typed, file, system)
}

/// Whose logs `peerchat log` and `peerchat verify` mean. The config file's data folder counts.
///
/// # Errors
/// The name breaks a rule, or so does the config file.
pub fn log(user: &str, data: Option<PathBuf>) -> Result<LogConfig, ConfigError> {
    let file = read_file(config_file().as_deref())?;
    Ok(LogConfig {
        user: user_name("--user", user)?,
        data: data_folder(data.or(file.data))?,
    })
}

/// A conversation as typed on the command line.
///
/// # Errors
/// There is neither `#` nor `@` in front, or the name breaks a rule.
pub fn conversation(typed: &str) -> Result<ConversationName, ConfigError> {
    if let Some(user) = typed.strip_prefix('@') {
        Ok(ConversationName::User(user_name(typed, user)?))
    } else if typed.starts_with('#') {
        Ok(ConversationName::Room(room_name(typed, typed)?))
    } else {
        Err(ConfigError::Conversation(typed.to_owned()))
    }
}

/// What the config file says; nothing where there is none.
#[derive(Debug, Default)]
struct File {
    path: PathBuf,
    name: Option<String>,
    registry: Option<String>,
    listen: Option<String>,
    data: Option<PathBuf>,
    join: Vec<String>,
    advertise: Option<String>,
    json: bool,
    no_host_registry: bool,
    bell: bool,
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
    let join_origin = origin("--join", !typed.join.is_empty());
    let join = if typed.join.is_empty() { file.join } else { typed.join };
    Ok(ChatConfig {
        user,
        registry: address("--registry", typed.registry, file.registry)?.unwrap_or_else(|| REGISTRY_DEFAULT.into()),
        listen: address("--listen", typed.listen, file.listen)?.unwrap_or_else(|| LISTEN_DEFAULT.into()),
        advertise: address("--advertise", typed.advertise, file.advertise)?,
        data: data_folder(typed.data.or(file.data))?,
        join: join
            .iter()
            .map(|room| room_name(&join_origin, room))
            .collect::<Result<_, _>>()?,
        json: typed.json || file.json,
        bell: file.bell,
        host_registry: !(typed.no_host_registry || file.no_host_registry),
    })
}

fn user_name(origin: &str, name: &str) -> Result<UserName, ConfigError> {
    UserName::new(name).map_err(|error| ConfigError::Name {
        origin: origin.to_owned(),
        name: name.to_owned(),
        error,
    })
}

/// `#` in front is optional: a shell takes it for a comment.
fn room_name(origin: &str, name: &str) -> Result<RoomName, ConfigError> {
    RoomName::new(name.strip_prefix('#').unwrap_or(name)).map_err(|error| ConfigError::Name {
        origin: origin.to_owned(),
        name: name.to_owned(),
        error,
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

fn read_file(path: Option<&Path>) -> Result<File, ConfigError> {
    let Some(path) = path else { return Ok(File::default()) };
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(File::default()),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    let table: toml::Table = toml::from_str(text).map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mut file = File {
        path: path.to_owned(),
        ..File::default()
    };
    for (key, value) in &table {
        let Some(key) = KEYS.into_iter().find(|known| known == key) else {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                key: key.clone(),
                nearest: nearest_key(key),
            });
        };
        let wrong = |expected| ConfigError::Type {
            path: path.to_owned(),
            key,
            expected,
            found: value.type_str(),
        };
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong("a string"));
        let yes = || value.as_bool().ok_or_else(|| wrong("true or false"));
        match key {
            "name" => file.name = Some(text()?),
            "registry" => file.registry = Some(text()?),
            "listen" => file.listen = Some(text()?),
            "data" => file.data = Some(text()?.into()),
            "advertise" => file.advertise = Some(text()?),
            "json" => file.json = yes()?,
            "bell" => file.bell = yes()?,
            "no-host-registry" => file.no_host_registry = yes()?,
            "join" => {
                let rooms = value
                    .as_array()
                    .map(|rooms| rooms.iter().map(|room| room.as_str().map(str::to_owned)));
                let rooms: Option<Vec<_>> = rooms.and_then(Iterator::collect);
                file.join = rooms.ok_or_else(|| wrong("an array of strings"))?;
            }
            _ => unreachable!("every one of KEYS is handled"),
        }
    }
    Ok(file)
}

fn nearest_key(key: &str) -> &'static str {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, key);
    KEYS.into_iter().min_by_key(distance).expect("there are keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<File, ConfigError> {
        parse(Path::new("/etc/config.toml"), text)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let text = "name = 'filed'\nregistry = 'h:1'\nlisten = '0.0.0.0:5'\ndata = '/d'\njoin = ['a', '#b']\n\
                    advertise = 'h:2'\njson = true\nno-host-registry = true";
        let config = merge(cli::Chat::default(), parsed(text).unwrap(), Some("system".into())).unwrap();
        assert_eq!(config.user.shown(), "filed");
        assert_eq!((config.registry.as_str(), config.listen.as_str()), ("h:1", "0.0.0.0:5"));
        assert_eq!(config.data, Path::new("/d"));
        assert_eq!(config.join, [RoomName::new("a").unwrap(), RoomName::new("b").unwrap()]);
        assert!(config.json && !config.host_registry);

        let typed = cli::Chat {
            name: Some("typed".into()),
            registry: Some("h:9".into()),
            join: vec!["lobby".into()],
            ..cli::Chat::default()
        };
        let config = merge(typed, parsed(text).unwrap(), None).unwrap();
        assert_eq!(config.user.shown(), "typed");
        assert_eq!(config.registry, "h:9");
        assert_eq!(config.join, [RoomName::new("lobby").unwrap()]);

        let typed = cli::Chat {
            data: Some("/x".into()),
            ..cli::Chat::default()
        };
        let config = merge(typed, File::default(), Some("system".into())).unwrap();
        assert_eq!(config.user.shown(), "system");
        assert_eq!(
            (config.registry.as_str(), config.listen.as_str()),
            (REGISTRY_DEFAULT, LISTEN_DEFAULT)
        );
        assert!(config.host_registry && !config.json);
    }

    #[test]
    fn a_mistake_in_the_file_names_file_and_key() {
        let message = |text| parsed(text).unwrap_err().to_string();
        assert_eq!(
            message("regsitry = 'h:1'"),
            "/etc/config.toml: there is no key \"regsitry\"; the nearest is \"registry\""
        );
        assert_eq!(
            message("json = 1"),
            "/etc/config.toml: \"json\" must be true or false, not integer"
        );
        assert_eq!(
            message("join = 'a'"),
            "/etc/config.toml: \"join\" must be an array of strings, not string"
        );
        assert!(message("name = ").starts_with("/etc/config.toml: TOML parse error at line 1"));

        let file = parsed("registry = 'nowhere'\nname = 'a'").unwrap();
        let error = merge(cli::Chat::default(), file, None).unwrap_err().to_string();
        assert!(
            error.starts_with("registry in /etc/config.toml: \"nowhere\" is no address"),
            "{error}"
        );
    }

    #[test]
    fn addresses_and_names_are_checked() {
        for good in ["h:1", "127.0.0.1:0", "[::1]:10001", "chat.example:65535"] {
            assert!(checked_address(String::new(), good.into()).is_ok(), "{good}");
        }
        for bad in ["", "h", "h:", ":1", "::1:5", "h:65536", "h:x"] {
            assert!(checked_address(String::new(), bad.into()).is_err(), "{bad}");
        }
        let nameless = merge(cli::Chat::default(), File::default(), None);
        assert!(matches!(nameless, Err(ConfigError::NoName)));
        assert!(matches!(conversation("#Lobby"), Ok(ConversationName::Room(room)) if room.as_str() == "lobby"));
        assert!(matches!(conversation("@bob"), Ok(ConversationName::User(_))));
        assert!(matches!(conversation("lobby"), Err(ConfigError::Conversation(_))));
        assert!(matches!(conversation("#a b"), Err(ConfigError::Name { .. })));
    }

    #[test]
    fn no_file_is_an_empty_file() {
        assert!(
            read_file(Some(Path::new("/nonexistent/config.toml")))
                .unwrap()
                .name
                .is_none()
        );
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_file(Some(dir.path())), Err(ConfigError::Read { .. })));
    }
}
