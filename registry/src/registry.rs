//! A registry before it serves: who is where, who owns which name, and the authority that vouches for it.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use peerchat_identity::tls::{self, TlsError};
use rustls::ServerConfig;
use tokio::sync::watch;
use tracing::warn;

use crate::{
    accounts::{
        Accounts, Now, Policy, WallTime,
        begun::{Begun, BegunError, Extent, Wrong},
        rules::Registration,
        store::{DatabaseUrl, OpenError, Place, StoreError},
    },
    authority::{Authority, AuthorityError, LIFETIME_MAX},
    cluster::{ClusterSettings, Leadership, Node, NodeError, ledger_store::LedgerStore},
    engine::{Engine, EngineError, RoutesUrl},
    refusals::Refusals,
    service::sharing::Notes,
};

/// How long a device's certificate is valid where nobody says otherwise.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// What a registry is told by its operator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder with the authority and the accounts; none to keep both in memory, for as long as the process lives.
    pub folder: Option<PathBuf>,
    /// The database of the accounts, if it is not in the folder.
    pub accounts: Option<DatabaseUrl>,
    /// The table of leases that this registry shares with others, if it does.
    pub routes: Option<RoutesUrl>,
    /// Who may take a free name.
    pub registration: Registration,
    /// How long a device's certificate is valid, [`LIFETIME_MAX`] at most.
    pub certificate_lifetime: Duration,
    /// It runs in a peer, to which it leaves most of the open files. Callers on this machine are told the folder, so that one of them can go on
    /// with it.
    pub is_hosted: bool,
    /// The folder of an authority that several registries share; none for one of its own.
    pub ca: Option<PathBuf>,
    /// The cluster of which it is a node.
    pub cluster: Option<ClusterSettings>,
    /// What is lost of the accounts is given up, if something is.
    pub accepts_lost_accounts: bool,
    /// Proxies before it, which say for whom they connect.
    pub proxies: Vec<IpAddr>,
    /// Peers may announce addresses that are good on one link only.
    pub allows_link_local: bool,
}

impl Settings {
    /// Everything in memory, everybody welcome.
    pub fn in_memory() -> Self {
        Self {
            folder: None,
            accounts: None,
            routes: None,
            registration: Registration::Open,
            certificate_lifetime: CERTIFICATE_LIFETIME,
            is_hosted: false,
            ca: None,
            cluster: None,
            accepts_lost_accounts: false,
            proxies: Vec::new(),
            allows_link_local: false,
        }
    }

    /// A registry that a peer hosts for the others of its machine, with one of whom it may go on later.
    pub fn hosted(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
            is_hosted: true,
            ..Self::in_memory()
        }
    }
}

/// A registry cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its authority cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The shared one is not there.
    #[error("there is no authority in {}; make one with `peerchat-registry init --ca DIR`, or copy that of the other registries", .0.display())]
    NoAuthority(PathBuf),
    /// It cannot be a node of its cluster.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Its accounts cannot be used.
    #[error(transparent)]
    Accounts(#[from] OpenError),
    /// Its accounts cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its accounts are not those that it had.
    #[error(transparent)]
    Begun(#[from] BegunError),
    /// Its accounts are not those of its cluster.
    #[error(
        "the data folder has accounts of a registry that was part of no cluster, and the other nodes would not know them; \
        choose another folder with --data, and bring these accounts to the cluster when it runs: \
        peerchat-registry import --from DIR --ca DIR --registry HOST:PORT"
    )]
    OwnAccounts,
    /// Its accounts are those of a cluster.
    #[error(
        "the data folder has the accounts of a cluster, of which this registry would be no node; \
        start it with --id, --cluster and --ca as before, or choose another folder with --data"
    )]
    ClusterAccounts,
    /// The table that it shares cannot be used.
    #[error(
        "cannot use the table of leases in {table}; is it running, and is the password right? The lines above say more"
    )]
    Routes {
        /// Which.
        table: String,
        /// Why.
        source: RoutesError,
    },
    /// TLS does not take its certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a shared table cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RoutesError(EngineError);

/// A registry, ready to serve.
#[derive(Debug)]
pub struct Registry {
    pub(crate) engine: Engine,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) authority: Authority,
    /// This registry in its cluster.
    pub(crate) node: Option<Node>,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) settings: Settings,
    /// What it and the other registries of its site say to each other.
    pub(crate) notes: Notes,
    /// What was refused, in the log.
    pub(crate) refusals: Arc<Refusals>,
}

impl Registry {
    /// Opens what is in the folder; makes it where there is nothing.
    ///
    /// # Errors
    /// Something in the folder cannot be used, or others can read it.
    pub async fn open(settings: Settings) -> Result<Self, RegistryError> {
        let authority = match (&settings.ca, &settings.folder) {
            (Some(ca), _) => Authority::find(ca)?.ok_or_else(|| RegistryError::NoAuthority(ca.clone()))?,
            (None, Some(folder)) => Authority::open(folder)?,
            (None, None) => Authority::in_memory()?,
        };
        let own = || settings.folder.clone().map_or(Place::Memory, Place::Folder);
        let place = settings.accounts.clone().map_or_else(own, Place::Url);
        let policy = Policy {
            registration: settings.registration,
            // Not the one that is set: certificates of an earlier run may last longer.
            certificate_lifetime: LIFETIME_MAX,
        };
        let mut accounts = Accounts::open(&place, policy).await?;
        // Of accounts that several registries share, beside their authority where a registry has no folder of its own.
        if let Some(beside) = settings
            .folder
            .as_ref()
            .or(settings.ca.as_ref().filter(|_| settings.accounts.is_some()))
        {
            let begun = Begun::open(beside, settings.accounts.is_some(), accounts.found().await?)?;
            begin(&begun, &settings, &place)?;
            match begun.keep(Extent::default()) {
                // The folder of an authority that is shared need not be one to write in.
                Err(error) if settings.folder.is_none() => warn!(%error, "cannot keep which accounts there are"),
                kept => kept.map_err(BegunError::from)?,
            }
            accounts = accounts.marked(begun);
        }
        let is_of_cluster = accounts.position().await?.index > 0;
        // Also where its cluster has decided nothing yet.
        let is_nodes = matches!(&place, Place::Folder(folder) if LedgerStore::is_in(folder));
        match &settings.cluster {
            Some(_) if !is_of_cluster && !accounts.is_empty().await? => return Err(RegistryError::OwnAccounts),
            None if is_of_cluster || is_nodes => return Err(RegistryError::ClusterAccounts),
            _ => {}
        }
        // From here on the folder is a node's.
        let node = match &settings.cluster {
            Some(cluster) => Some(Node::open(cluster.clone(), settings.folder.as_deref(), &authority)?),
            None => None,
        };
        if let Some(node) = &node {
            accounts = accounts.decided_by(node.deciding().decider());
        }
        let (chain, key) = match &node {
            Some(node) => node.shown(),
            None => authority.registry_identity()?,
        };
        let accounts = Arc::new(accounts);
        let engine = match (&settings.routes, &node) {
            (Some(url), _) => share(url, &accounts).await?,
            (None, Some(node)) => Engine::in_cluster(node.seat()),
            (None, None) => Engine::in_memory(),
        };
        Ok(Self {
            engine,
            accounts,
            tls: tls::registry_server(chain, key)?,
            notes: Notes::new(&authority)?,
            authority,
            node,
            settings,
            refusals: Arc::default(),
        })
    }

    /// How peers know this registry.
    pub fn fingerprint(&self) -> peerchat_identity::Fingerprint {
        self.authority.fingerprint()
    }

    /// Who leads its cluster, as this registry knows it while it serves; none where it is in none.
    pub fn leadership(&self) -> Option<watch::Receiver<Leadership>> {
        self.node.as_ref().map(Node::watch)
    }

    /// Now, by both clocks.
    pub(crate) fn now(&self) -> Now {
        Now {
            wall: WallTime::now(),
            running: self.engine.now(),
        }
    }
}

/// Makes sure that the accounts are those which the registry had. A node of a cluster gets what it lacks from the others, and is only kept from accounts
/// that are none of its own.
fn begin(begun: &Begun, settings: &Settings, place: &Place) -> Result<(), BegunError> {
    let (place, folder) = match place {
        Place::Folder(folder) => (folder.display().to_string(), true),
        Place::Url(url) => (format!("the database ({url:?})"), false),
        Place::Memory => return Ok(()),
    };
    let is_lost_here_only = |wrong| settings.cluster.is_some() && wrong != Wrong::OfAnother;
    match begun.judge() {
        Err(wrong) if settings.accepts_lost_accounts => {
            warn!("the accounts are not what they were: {place} {wrong}; what is lost is given up, as was asked for");
            Ok(())
        }
        Err(wrong) if is_lost_here_only(wrong) => {
            warn!("the accounts of this node are not what they were: {place} {wrong}; it gets them from the others");
            Ok(())
        }
        Ok(()) => {
            if settings.accepts_lost_accounts && settings.cluster.is_none() {
                warn!(
                    "nothing of the accounts is lost; --accept-lost-accounts is for one start, and left in it would give up what is lost later"
                );
            }
            Ok(())
        }
        Err(_) => {
            let remedy = match settings.is_hosted && folder {
                true => format!("move {} away", begun.path().display()),
                false => "start the registry once with --accept-lost-accounts".to_owned(),
            };
            begun.check(&place, &remedy)
        }
    }
}

/// Takes part in a table. A device that is revoked, by whichever registry, is forgotten by this one's accounts.
async fn share(url: &RoutesUrl, accounts: &Arc<Accounts>) -> Result<Engine, RegistryError> {
    let known = Arc::clone(accounts);
    let forget = move |revoked| match revoked {
        Some(device) => known.forget(device),
        None => known.forget_all(),
    };
    let shared = Engine::shared(url.clone(), Box::new(forget)).await;
    shared.map_err(|source| RegistryError::Routes {
        table: format!("{url:?}"),
        source: RoutesError(source),
    })
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::UserName;

    use super::*;
    use crate::{
        accounts::{Arrival, DeviceLabel, password::Password},
        routes::DeviceId,
    };

    #[tokio::test]
    async fn a_revoked_device_is_told_of_until_its_longest_certificate_has_ended() {
        let settings = Settings {
            certificate_lifetime: Duration::from_secs(5),
            ..Settings::in_memory()
        };
        let registry = Registry::open(settings).await.unwrap();
        let (alice, password) = (
            UserName::new("alice").unwrap(),
            Arc::new(Password::new("correct horse").unwrap()),
        );
        for n in 1..=2 {
            let arrival = Arrival {
                name: &alice,
                device: DeviceId([n; 32]),
                label: &DeviceLabel::new(""),
                password: Some(&password),
                invite: None,
                from: [127, 0, 0, 1].into(),
            };
            registry.accounts.admit(&arrival, registry.now()).await.unwrap();
        }
        let now = WallTime::now();
        let (by, device) = (DeviceId([1; 32]), DeviceId([2; 32]));
        registry.accounts.revoke(&alice, by, device, now).await.unwrap();
        let told = async |at| registry.accounts.revoked(at).await.unwrap().len();
        assert_eq!(told(now.after(LIFETIME_MAX)).await, 1);
        let over = LIFETIME_MAX + Duration::from_secs(1);
        assert_eq!(told(now.after(over)).await, 0);
    }
}
