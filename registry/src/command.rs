//! What the program does instead of running a registry. Each command answers what to print.

mod import;
mod init;
mod invite;
mod status;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    accounts::{
        WallTime,
        begun::{Begun, BegunError, Mark},
        invite::NoRandomness,
        store::{self, DatabaseUrl, OpenError, Place, Store, StoreError},
    },
    address::{Address, AddressError},
    authority::{Authority, AuthorityError},
    cluster::OperatorError,
    config::{Command, Config, DataFolderError},
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no folder.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The accounts cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The accounts are not those that the registry had.
    #[error(transparent)]
    Begun(#[from] BegunError),
    /// The invite cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no secret for the invite.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The authority cannot be read.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No registry tells its status.
    #[error(transparent)]
    NoAnswer(#[from] status::NoAnswer),
    /// The registry to ask is nowhere.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no folder for an authority.
    #[error("name the folder of the authority with --ca DIR")]
    NoCa,
    /// The accounts are those of a cluster.
    #[error(
        "these accounts are those of a node of a cluster, where a majority of the nodes must store an invite; \
        make it with `peerchat-registry invite --ca DIR --registry HOST:PORT`, also from another machine"
    )]
    OfCluster,
    /// The cluster does not take an invite, or an account.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// None of the registries takes one.
    #[error("no invite was made: {0}")]
    NotInvited(String),
    /// There is nothing to be imported.
    #[error(
        "there are no accounts in {}: name the folder that the registry had with --data, or its own in the XDG data folder", .0.display()
    )]
    NoAccounts(PathBuf),
    /// The database is not to be written by anybody else.
    #[error(
        "these accounts are those of a node of a cluster, which alone changes them; bring others to the cluster while it runs, \
        with --ca DIR --registry HOST:PORT in place of the database"
    )]
    IntoNode,
    /// None of the registries takes accounts.
    #[error("no registry takes it: {0}")]
    NotImported(String),
    /// Something was not taken.
    #[error("{summary}. Not taken: {accounts} and {devices}, as told above; what is there was left as it is")]
    Skipped {
        /// What was.
        summary: String,
        /// How many accounts were not.
        accounts: String,
        /// How many devices of others were not.
        devices: String,
    },
    /// The authority is not there.
    #[error("there is no authority in {}; name the folder that all nodes have with --ca DIR", .0.display())]
    NoAuthority(PathBuf),
    /// Nobody would ask for what is stored there.
    #[error(
        "no registry has run with the folder {} yet, so an invite in it would be good nowhere; start the registry first, or \
        give the --listen or --data that it has; for a cluster, use `peerchat-registry invite --ca DIR --registry HOST:PORT`",
        .0.display()
    )]
    GoodNowhere(PathBuf),
    /// There is no authority yet.
    #[error("no registry has run with the folder {} yet, so it has no fingerprint; start it first", .0.display())]
    NoRegistry(PathBuf),
}

/// Carries out a command on the folder that the command line names, and on the database of the accounts if they are elsewhere.
///
/// # Errors
/// [`CommandError`].
pub async fn run(
    command: &Command,
    config: &Config,
    accounts: Option<DatabaseUrl>,
) -> Result<Zeroizing<String>, CommandError> {
    let folder = || config.data_folder()?.ok_or(DataFolderError::Nothing);
    match command {
        Command::Invite { expires, registry } if !registry.is_empty() => {
            let ca = config.ca.as_deref().ok_or(CommandError::NoCa)?;
            invite::ask_for(ca, registry, *expires).await
        }
        Command::Invite { expires, .. } => {
            let place = match accounts {
                Some(url) => Place::Url(url),
                None => {
                    let folder = folder()?;
                    // One that was named may be prepared before the first start.
                    if config.data.is_none() && !folder.join(store::FILE).exists() {
                        return Err(CommandError::GoodNowhere(folder));
                    }
                    Place::Folder(folder)
                }
            };
            invite::make(&place, *expires, WallTime::now()).await
        }
        Command::Fingerprint => {
            let folder = config.ca.clone().map_or_else(folder, Ok)?;
            match Authority::find(&folder)? {
                Some(authority) => Ok(Zeroizing::new(authority.fingerprint().to_string())),
                None => Err(CommandError::NoRegistry(folder)),
            }
        }
        Command::Init => {
            let ca = config.ca.as_deref().ok_or(CommandError::NoCa)?;
            Ok(Zeroizing::new(init::run(ca)?))
        }
        Command::Import { from, registry } => {
            let target = match accounts {
                Some(url) => import::Target::database(url).await?,
                None => import::Target::registries(config.ca.as_deref().ok_or(CommandError::NoCa)?, registry)?,
            };
            Ok(Zeroizing::new(import::run(from, target, WallTime::now()).await?))
        }
        Command::Status { registry, json } => Ok(Zeroizing::new(match registry.as_slice() {
            [] => status::run(&[here(config)?], *json).await?,
            registries => status::run(registries, *json).await?,
        })),
    }
}

/// Makes sure that the accounts in a folder are those which its registry had.
async fn check_begun(folder: &Path, store: &Store) -> Result<(), CommandError> {
    let found = Mark {
        id: store.id().await?,
        extent: store.extent().await?,
    };
    let place = folder.display().to_string();
    let begun = Begun::open(folder, false, found)?;
    Ok(begun.check(&place, "start the registry once with --accept-lost-accounts")?)
}

/// The registry that would run with this command line.
fn here(config: &Config) -> Result<Address, AddressError> {
    Address::new(&config.listens_at(), Some(Ipv4Addr::LOCALHOST.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::accounts::{invite::Invite, store::Position};

    #[tokio::test]
    async fn commands_work_on_the_folder_of_a_registry_that_runs() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let run_typed = |command: &'static str| {
            let path = folder.to_str().unwrap();
            let config = Config::parse_from(["peerchat-registry", command, "--data", path]);
            async move { run(config.command.as_ref().unwrap(), &config, None).await }
        };
        let refused = run_typed("fingerprint").await.unwrap_err();
        assert!(matches!(refused, CommandError::NoRegistry(_)), "{refused:?}");
        let folder = folder.join("registry");
        let authority = Authority::open(&folder).unwrap();
        let running = Store::open(&Place::Folder(folder.clone())).await.unwrap();
        let printed = run_typed("fingerprint").await.unwrap();
        assert_eq!(*printed, authority.fingerprint().to_string());

        let printed: Invite = run_typed("invite").await.unwrap().parse().unwrap();
        let stored = running.invites().await.unwrap();
        assert_eq!(stored[0].hash, printed.hash());
        assert_eq!(
            stored[0].expires,
            stored[0].created.after(crate::accounts::invite::LIFETIME)
        );
        // What is a cluster's it alone changes.
        running
            .apply(&[(Position { term: 103, index: 1 }, None)])
            .await
            .unwrap();
        let refused = run_typed("invite").await.unwrap_err();
        assert!(refused.to_string().contains("--registry HOST:PORT"), "{refused}");
    }

    #[test]
    fn a_message_is_one_line_without_gaps() {
        let (path, text) = (PathBuf::from("folder"), "text".to_owned());
        for error in [
            CommandError::NoCa,
            CommandError::OfCluster,
            CommandError::NotInvited(text.clone()),
            CommandError::NoAccounts(path.clone()),
            CommandError::IntoNode,
            CommandError::NotImported(text.clone()),
            CommandError::Skipped {
                summary: text.clone(),
                accounts: text.clone(),
                devices: text,
            },
            CommandError::NoAuthority(path.clone()),
            CommandError::GoodNowhere(path.clone()),
            CommandError::NoRegistry(path),
        ] {
            let message = error.to_string();
            assert!(!message.contains("  ") && !message.contains('\n'), "{message}");
        }
    }

    #[tokio::test]
    async fn a_registry_in_memory_has_no_commands() {
        let config = Config::parse_from(["peerchat-registry", "--listen", "127.0.0.1:0", "invite"]);
        let refused = run(config.command.as_ref().unwrap(), &config, None).await.unwrap_err();
        assert!(refused.to_string().contains("--data"), "{refused}");
    }
}
