//! What several registries share: the URLs of a database and of a table of leases. They may have a password in them, which must be seen
//! neither in the list of processes nor in a log; so a URL with one is read from a file that is its owner's alone.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use peerchat_identity::secret_file::{self, SecretFileError};
use zeroize::Zeroizing;

use super::Config;
use crate::{
    accounts::store::{DatabaseUrl, DatabaseUrlError},
    engine::{RoutesUrl, UnknownTable},
};

/// A URL as it was typed. Whatever it is, it is taken at first: an error of the command line's own would repeat it.
#[derive(Clone)]
pub struct TypedUrl(Zeroizing<String>);

impl From<&str> for TypedUrl {
    fn from(typed: &str) -> Self {
        Self(Zeroizing::new(typed.to_owned()))
    }
}

impl fmt::Debug for TypedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL")
    }
}

/// A URL that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Everybody on the machine could read the password.
    #[error(
        "the URL for {flag} has a password, which everybody on this machine can read in the list of processes; write the URL \
        into a file, run chmod 600 on it, and name it with {flag}-file"
    )]
    Password {
        /// Which.
        flag: &'static str,
    },
    /// It is of no database.
    #[error("{flag}: {source}")]
    Database {
        /// Which.
        flag: &'static str,
        /// Why.
        source: DatabaseUrlError,
    },
    /// It is of no table.
    #[error("{flag}: {source}")]
    Table {
        /// Which.
        flag: &'static str,
        /// Why.
        source: UnknownTable,
    },
    /// There is no such file.
    #[error("{flag}-file: there is no file {}", path.display())]
    NoFile {
        /// Which.
        flag: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// It is no text.
    #[error("{flag}-file: {} is no text with a URL", path.display())]
    NoText {
        /// Which.
        flag: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file cannot be read, or others can read it.
    #[error("{flag}-file: {source}")]
    File {
        /// Which.
        flag: &'static str,
        /// Why.
        source: SecretFileError,
    },
}

impl Config {
    /// The database of the accounts, if it is none of the data folder's own.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn accounts_url(&self) -> Result<Option<DatabaseUrl>, UrlError> {
        let flag = "--accounts";
        let parse = |url: &str| DatabaseUrl::from_str(url).map_err(|source| UrlError::Database { flag, source });
        url(
            flag,
            &self.accounts,
            &self.accounts_file,
            parse,
            DatabaseUrl::has_password,
        )
    }

    /// The table of leases, if it is not in this process.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn routes_url(&self) -> Result<Option<RoutesUrl>, UrlError> {
        let flag = "--routes";
        let parse = |url: &str| RoutesUrl::from_str(url).map_err(|source| UrlError::Table { flag, source });
        url(flag, &self.routes, &self.routes_file, parse, RoutesUrl::has_password)
    }
}

fn url<T>(
    flag: &'static str,
    typed: &Option<TypedUrl>,
    file: &Option<PathBuf>,
    parse: impl Fn(&str) -> Result<T, UrlError>,
    has_password: impl Fn(&T) -> bool,
) -> Result<Option<T>, UrlError> {
    if let Some(path) = file {
        return parse(&read(flag, path)?).map(Some);
    }
    let Some(TypedUrl(typed)) = typed else {
        return Ok(None);
    };
    let url = parse(typed)?;
    if has_password(&url) {
        return Err(UrlError::Password { flag });
    }
    Ok(Some(url))
}

/// The URL in a file, which has nothing else in it.
fn read(flag: &'static str, path: &Path) -> Result<Zeroizing<String>, UrlError> {
    let secret = secret_file::read(path).map_err(|source| UrlError::File { flag, source })?;
    let path = path.to_owned();
    let Some(secret) = secret else {
        return Err(UrlError::NoFile { flag, path });
    };
    match std::str::from_utf8(&secret) {
        Ok(text) => Ok(Zeroizing::new(text.trim().to_owned())),
        Err(_) => Err(UrlError::NoText { flag, path }),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use clap::Parser as _;

    use super::*;

    fn url(arguments: &[&str]) -> Result<Option<DatabaseUrl>, UrlError> {
        let typed = ["peerchat-registry"].iter().chain(arguments);
        Config::parse_from(typed).accounts_url()
    }

    #[test]
    #[cfg_attr(not(feature = "shared"), ignore = "needs URLs that only the feature `shared` takes")]
    fn a_url_with_a_password_is_not_typed() {
        assert!(url(&[]).unwrap().is_none());
        assert!(url(&["--accounts", "sqlite:/var/lib/a"]).unwrap().is_some());
        assert!(url(&["--accounts", "postgres://me@host/db"]).unwrap().is_some());
        for typed in ["postgres://me:hunter2@host/db", "mysql://host/db?password=hunter2"] {
            let told = url(&["--accounts", typed]).unwrap_err().to_string();
            assert!(told.contains("--accounts-file") && !told.contains("hunter2"), "{told}");
        }
        let told = url(&["--accounts", "oracle://me:hunter2@host"])
            .unwrap_err()
            .to_string();
        assert!(told.contains("postgres:") && !told.contains("hunter2"), "{told}");
        let config = Config::parse_from(["peerchat-registry", "--accounts", "mysql://me:hunter2@h/d"]);
        assert!(!format!("{config:?}").contains("hunter2"));
        let routes = |url| Config::parse_from(["peerchat-registry", "--routes", url]).routes_url();
        assert!(routes("redis://host").unwrap().is_some());
        for typed in [
            "redis://:hunter2@host",
            "redis://hunter2@a,b",
            "memcached://:hunter2@host",
        ] {
            let told = routes(typed).unwrap_err().to_string();
            assert!(told.contains("--routes") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    #[cfg_attr(not(feature = "shared"), ignore = "needs URLs that only the feature `shared` takes")]
    fn a_file_with_a_url_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        let arguments = ["--accounts-file", path.to_str().unwrap()];
        let told = url(&arguments).unwrap_err().to_string();
        assert!(told.contains("there is no file"), "{told}");
        secret_file::write(&path, b"postgres://me:hunter2@host/db\n").unwrap();
        assert!(url(&arguments).unwrap().unwrap().has_password());
        secret_file::write(&path, b"\xff").unwrap();
        assert!(matches!(url(&arguments), Err(UrlError::NoText { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let told = url(&arguments).unwrap_err().to_string();
        assert!(told.contains("chmod 600"), "{told}");
    }
}
