//! Why a peer cannot run.

use std::{io, path::PathBuf};

use peerchat_identity::secret_file::SecretFileError;

use crate::{
    credentials::CredentialsError,
    log::{IoError, LockError, LogError},
    net::LoginError,
    node::event::Code,
};

/// The peer cannot run, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] IoError),
    /// Another process uses the data folder.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The device's key or certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A file with a secret cannot be read, or others can read it.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// It has no secret.
    #[error("{} is not there, or its first line is empty or no text; it must have the secret in its first line", .0.display())]
    NoSecret(PathBuf),
    /// A log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log could not be used any more, and the user was told before the end.
    #[error(transparent)]
    Ended(LogError),
    /// The address to listen at cannot be used.
    #[error("cannot listen at {address}: {source}; choose another one with --listen")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The registry refuses the user.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The same, and the user was told before the end where a script reads.
    #[error(transparent)]
    NotLetIn(LoginError),
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl ChatError {
    /// The code under which scripts know the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Login(error) | Self::NotLetIn(error) => Self::login_code(error),
            Self::Listen { .. } | Self::Secret(_) | Self::NoSecret(_) | Self::System(_) => Code::Refused,
            Self::Locked(LockError::Held { .. }) => Code::DataInUse,
            Self::Folder(_) | Self::Locked(_) | Self::Credentials(_) | Self::Log(_) | Self::Ended(_) => {
                Code::DiskFailed
            }
        }
    }

    pub(super) fn login_code(error: &LoginError) -> Code {
        match error {
            LoginError::NameInUse(_) => Code::NameInUse,
            LoginError::Unknown { .. }
            | LoginError::Changed { .. }
            | LoginError::Foreign { .. }
            | LoginError::Elsewhere { .. } => Code::RegistryUntrusted,
            LoginError::Unavailable { .. } | LoginError::NoneAnswers(_) => Code::RegistryUnavailable,
            LoginError::Barred(_) | LoginError::Refused(_) => Code::Refused,
        }
    }

    /// Whether the user interface has told it already.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::NotLetIn(_))
    }
}
