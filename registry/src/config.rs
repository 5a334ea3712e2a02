//! The command line of `peerchat-registry`.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  peerchat-registry                              for the peers of this machine
  peerchat-registry --listen 0.0.0.0:10001       for the peers of a network
  peerchat-registry --listen 127.0.0.1:0         on a free port, which is printed

Prints `listening on IP:PORT` to stdout once it is ready. \
Logs go to stderr: RUST_LOG sets how much, NO_COLOR turns colours off. \
Ctrl-C or SIGTERM ends it.

Exit status: 0 ended when asked to, 1 an error, 2 wrong usage.";

/// The registry of Peerchat: tells peers where the others are, and never sees a message.
#[derive(Debug, Parser)]
#[command(name = "peerchat-registry", version, about, after_help = EXAMPLES)]
pub struct Config {
    /// Where to listen, as IP:PORT; an IPv6 address stands in brackets
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:10001", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Folder for what must survive a restart; created if it is not there. Nothing is kept in it yet (who is where is
    /// known anew within seconds): accounts will be
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It is not there and cannot be made.
    #[error("cannot create the data folder {}", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else has its name.
    #[error("the data folder {} is not a folder; choose another one with --data", path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// It is there, but no file can be made in it.
    #[error("cannot write in the data folder {}; allow it, or choose another one with --data", path.display())]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes sure that there is a folder in which files can be made. Leaves nothing else behind.
///
/// # Errors
/// [`DataFolderError`] with the path and the system's reason.
pub fn prepare_data_folder(path: &Path) -> Result<(), DataFolderError> {
    let path = path.to_owned();
    if path.exists() && !path.is_dir() {
        return Err(DataFolderError::NotAFolder { path });
    }
    if let Err(source) = fs::create_dir_all(&path) {
        return Err(DataFolderError::Create { path, source });
    }
    // Permissions alone do not tell: the file system may be read-only.
    let probe = path.join(format!(".probe-{}", std::process::id()));
    let probed = fs::File::create(&probe).and_then(|_| fs::remove_file(&probe));
    probed.map_err(|source| DataFolderError::NotWritable { path, source })
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected IP:PORT, such as 127.0.0.1:10001 or [::]:10001".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Config::command().debug_assert();
        let config = Config::parse_from(["peerchat-registry"]);
        assert_eq!(config.listen.to_string(), "127.0.0.1:10001");
        assert_eq!(config.data, None);
        assert!(Config::try_parse_from(["peerchat-registry", "--listen", "nowhere"]).is_err());
    }

    #[test]
    fn a_data_folder_is_made_and_left_empty() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        prepare_data_folder(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        prepare_data_folder(&path).unwrap();

        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            prepare_data_folder(&file),
            Err(DataFolderError::NotAFolder { .. })
        ));
        assert!(matches!(
            prepare_data_folder(&file.join("x")),
            Err(DataFolderError::Create { .. })
        ));
    }
}
