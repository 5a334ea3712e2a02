//! The config file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// What the config file may set: under their names, what the flags set; and what is a matter of taste and has no flag.
pub(super) const KEYS: [&str; 13] = [
    "name",
    "registry",
    "registry-choice",
    "listen",
    "data",
    "join",
    "advertise",
    "json",
    "no-host-registry",
    "bell",
    "registry-fingerprint",
    "password-file",
    "invitation-file",
];

/// What the config file says; nothing where there is none.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) name: Option<String>,
    /// An address, or several.
    pub(super) registry: Option<Vec<String>>,
    pub(super) registry_choice: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) join: Vec<String>,
    pub(super) advertise: Option<String>,
    pub(super) json: bool,
    pub(super) no_host_registry: bool,
    pub(super) bell: bool,
    pub(super) registry_fingerprint: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) invitation_file: Option<PathBuf>,
}

/// Reads the file; an empty one where there is none.
pub(super) fn read(path: Option<&Path>) -> Result<File, ConfigError> {
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

/// Reads what the file at `path` holds.
pub(super) fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
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
            "registry" => {
                let one = value.as_str().map(|one| vec![one.to_owned()]);
                let list = one.or_else(|| strings(value));
                file.registry = Some(list.ok_or_else(|| wrong("a string or an array of strings"))?);
            }
            "registry-choice" => file.registry_choice = Some(text()?),
            "listen" => file.listen = Some(text()?),
            "data" => file.data = Some(text()?.into()),
            "advertise" => file.advertise = Some(text()?),
            "registry-fingerprint" => file.registry_fingerprint = Some(text()?),
            "password-file" => file.password_file = Some(text()?.into()),
            "invitation-file" => file.invitation_file = Some(text()?.into()),
            "json" => file.json = yes()?,
            "bell" => file.bell = yes()?,
            "no-host-registry" => file.no_host_registry = yes()?,
            "join" => file.join = strings(value).ok_or_else(|| wrong("an array of strings"))?,
            _ => unreachable!("every one of KEYS is handled"),
        }
    }
    Ok(file)
}

fn strings(value: &toml::Value) -> Option<Vec<String>> {
    let values = value.as_array()?.iter();
    values.map(|value| value.as_str().map(str::to_owned)).collect()
}

fn nearest_key(key: &str) -> &'static str {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, key);
    KEYS.into_iter().min_by_key(distance).expect("there are keys")
}
