//! Logging in: finding the registry or hosting one, making sure that it is the right one, and getting a lease and a certificate.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    Fingerprint,
    connect::{connect, registry_fingerprint},
    tls,
};
use peerchat_proto::v1::{
    self as wire, account_service_client::AccountServiceClient, link_device_response::Step,
    routing_service_client::RoutingServiceClient, watch_response::Change,
};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

use super::{
    LoginError, RegistryConfig,
    calls::Clients,
    hosting::{Hosting, hosting_folder},
    recognise::{recognise, remember},
    survey,
};
use crate::{
    net::{
        CALL_DEADLINE, Net,
        channel::{self, ConnectError},
        host,
    },
    node::{account::AccountNews, types::Authority},
};

/// How many renewals wait for the stream. It is full only when the stream has stopped, and then it will break.
const RENEWALS_MAX: usize = 64;

/// A log-in with everything that goes on under it.
pub(super) struct Session {
    /// HOST:PORT of the registry.
    pub(super) address: String,
    /// Whose names it gives.
    pub(super) authority: Authority,
    pub(super) client: RoutingServiceClient<Channel>,
    pub(super) accounts: AccountServiceClient<Channel>,
    pub(super) lease: Vec<u8>,
    pub(super) lease_ms: u32,
    pub(super) renewals: mpsc::Sender<wire::WatchRequest>,
    pub(super) changes: Streaming<wire::WatchResponse>,
}

impl Session {
    /// What the registry's services are asked through.
    pub(super) fn clients(&self) -> Clients {
        Clients {
            routing: self.client.clone(),
            accounts: self.accounts.clone(),
        }
    }
}

/// Logs in at the registry at `at`, which is hosted in this process where that may be and none is there. `address` is told where the
/// others find this peer.
pub(super) async fn log_in(
    net: &Net,
    config: &RegistryConfig,
    at: &str,
    address: &watch::Sender<String>,
    hosted: &mut Option<host::HostedRegistry>,
) -> Result<Session, LoginError> {
    let unavailable = |reason: String| LoginError::Unavailable {
        address: at.to_owned(),
        reason,
    };
    let silent = |_| unavailable(format!("no answer within {CALL_DEADLINE:?}"));
    survey::meet(net, config).await?;
    let stream = reach(net, config, at, hosted).await?;
    let fingerprint = recognise(config, at, registry_fingerprint(&stream), hosted.is_some())?;
    let connected = channel::over(stream, at).await;
    let channel = connected.map_err(|error| unavailable(error.to_string()))?;
    let accounts = AccountServiceClient::new(channel.clone());
    let mut client = RoutingServiceClient::new(channel);
    let secret = |secret: &Option<zeroize::Zeroizing<String>>| secret.as_deref().cloned().unwrap_or_default();
    let request = wire::LogInRequest {
        user: net.me.user.shown().to_owned(),
        address: config.advertise.clone(),
        password: secret(&config.password),
        invitation: secret(&config.invitation),
        label: label(),
    };
    let refused = |status: Status| match status.code() {
        Code::AlreadyExists => LoginError::NameInUse(status.message().to_owned()),
        Code::PermissionDenied => LoginError::Barred(status.message().to_owned()),
        Code::InvalidArgument => LoginError::Refused(status.message().to_owned()),
        _ => unavailable(status.message().to_owned()),
    };
    let login = timeout(CALL_DEADLINE, client.log_in(request))
        .await
        .map_err(silent)?
        .map_err(refused)?
        .into_inner();
    adopt(net, &login, fingerprint).map_err(LoginError::Refused)?;
    // Once it is known it stays, and another one was not recognised above.
    let _known = config.authority.set(fingerprint);
    let (config_then, at_then, folder) = (config.clone(), at.to_owned(), login.folder.clone());
    // Nobody waits for the disk: the registry would take this peer for gone.
    net.tasks
        .spawn_blocking(move || remember(&config_then, &at_then, fingerprint, &folder));
    address.send_replace(login.address);
    let (renewals, requests) = mpsc::channel(RENEWALS_MAX);
    let first = wire::WatchRequest {
        lease: login.lease.clone(),
        users: Vec::new(),
    };
    renewals
        .send(first)
        .await
        .map_err(|_| unavailable("the stream is closed".into()))?;
    let watching = client.watch(ReceiverStream::new(requests));
    let mut changes = timeout(CALL_DEADLINE, watching)
        .await
        .map_err(silent)?
        .map_err(refused)?
        .into_inner();
    let ready = timeout(CALL_DEADLINE, changes.message())
        .await
        .map_err(silent)?
        .map_err(refused)?;
    if !matches!(ready.and_then(|change| change.change), Some(Change::Ready(_))) {
        return Err(unavailable("its stream does not start".into()));
    }
    Ok(Session {
        address: at.to_owned(),
        authority: Authority(fingerprint.bytes()),
        client,
        accounts,
        lease: login.lease.to_vec(),
        lease_ms: login.lease_ms,
        renewals,
        changes,
    })
}

/// Waits until another device of the user approves this one. `code` gets what the user must type there. Of several registries it is
/// the first that takes part.
///
/// # Errors
/// The registry is not there or not the right one, or nobody approved it in time.
pub async fn link_device(
    net: &Net,
    config: &RegistryConfig,
    code: mpsc::Sender<AccountNews>,
) -> Result<(), LoginError> {
    let (at, mut steps) = begin_linking(net, config).await?;
    while let Some(step) = steps.message().await.map_err(refused_link)? {
        match step.step {
            Some(Step::Code(shown)) => {
                let news = AccountNews::Code {
                    code: shown.code,
                    valid_s: u64::from(shown.valid_ms / 1_000),
                };
                // Nobody reads where the peer ends.
                let _ends = code.send(news).await;
            }
            Some(Step::Approved(_)) => return Ok(()),
            None => {}
        }
    }
    Err(LoginError::Unavailable {
        address: at.to_owned(),
        reason: "it ended the linking".to_owned(),
    })
}

type LinkingSteps = Streaming<wire::LinkDeviceResponse>;

async fn begin_linking<'c>(net: &Net, config: &'c RegistryConfig) -> Result<(&'c str, LinkingSteps), LoginError> {
    survey::meet(net, config).await?;
    let mut last = None;
    for at in &config.preferred {
        match begin_linking_at(net, config, at).await {
            Err(error) if error.is_away() || error.is_not_the_one() => last = last.or(Some(error)),
            begun => return Ok((at, begun?)),
        }
    }
    Err(last.unwrap_or_else(|| LoginError::Refused("no registry is given".to_owned())))
}

async fn begin_linking_at(net: &Net, config: &RegistryConfig, at: &str) -> Result<LinkingSteps, LoginError> {
    let unavailable = |reason: String| LoginError::Unavailable {
        address: at.to_owned(),
        reason,
    };
    // None is hosted for it: nobody could approve there.
    let stream = dial(net, at).await.map_err(unavailable)?;
    recognise(config, at, registry_fingerprint(&stream), false)?;
    let channel = channel::over(stream, at).await;
    let channel = channel.map_err(|error| unavailable(error.to_string()))?;
    let request = wire::LinkDeviceRequest {
        user: net.me.user.shown().to_owned(),
        label: label(),
    };
    let steps = AccountServiceClient::new(channel).link_device(request).await;
    Ok(steps.map_err(refused_link)?.into_inner())
}

fn refused_link(status: Status) -> LoginError {
    LoginError::Refused(status.message().to_owned())
}

/// What this device calls itself: the name of its machine.
fn label() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Connects to whatever listens at the address, after starting a registry there if that may be.
async fn reach(
    net: &Net,
    config: &RegistryConfig,
    at: &str,
    hosted: &mut Option<host::HostedRegistry>,
) -> Result<TlsStream<TcpStream>, LoginError> {
    let unavailable = |reason: String| LoginError::Unavailable {
        address: at.to_owned(),
        reason,
    };
    let error = match dial(net, at).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    hosted.take_if(|hosted| !hosted.runs());
    let may_host = config.may_host && config.addresses.len() == 1 && hosted.is_none();
    let Some(here) = host::loopback(at).filter(|_| may_host) else {
        return Err(unavailable(error));
    };
    let folder = match hosting_folder(config, at, here)? {
        Hosting::In(folder) => folder,
        Hosting::NotHere(why) => return Err(unavailable(format!("{error}; {why}"))),
    };
    *hosted = host::HostedRegistry::start(here, folder).await.map_err(unavailable)?;
    dial(net, at).await.map_err(unavailable)
}

pub(super) async fn dial(net: &Net, address: &str) -> Result<TlsStream<TcpStream>, String> {
    let config = tls::registry_client(net.credentials.key()).map_err(|error| error.to_string())?;
    let dialled = connect(address, tls::registry_name(), config);
    let stream = channel::within_deadline(address, dialled).await;
    stream.map_err(|error| match error {
        ConnectError::Io { source, .. } => source.to_string(),
        error => error.to_string(),
    })
}

fn adopt(net: &Net, login: &wire::LogInResponse, fingerprint: Fingerprint) -> Result<(), String> {
    let authority = login.authority.to_vec().into();
    if Fingerprint::of(&authority) != fingerprint {
        return Err("it certifies devices with another authority than its own".to_owned());
    }
    tell_time(net, login.time_ms);
    show(net, &login.certificate, authority)
}

/// Shows a certificate, and has it kept.
fn show(net: &Net, certificate: &[u8], authority: CertificateDer<'static>) -> Result<(), String> {
    let adopted = net.credentials.adopt(certificate.to_vec().into(), authority);
    adopted.map_err(|error| error.to_string())?;
    let credentials = Arc::clone(&net.credentials);
    net.tasks.spawn_blocking(move || {
        if let Err(error) = credentials.keep() {
            tracing::warn!(%error, "the next start will not have this certificate");
        }
    });
    Ok(())
}

/// Takes the time from a registry, which is the right one. One that tells none leaves it to this machine's clock.
fn tell_time(net: &Net, time_ms: i64) {
    let since = u64::try_from(time_ms).ok().filter(|ms| *ms > 0);
    let time = since.and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
    if let Some(time) = time {
        net.credentials.clock().tell(time);
    }
}

/// Gets a new certificate from the registry.
pub(super) async fn renew_certificate(net: &Net, session: &mut Session) -> Result<(), String> {
    let request = wire::RenewCertificateRequest {
        lease: session.lease.clone().into(),
    };
    let renewed = timeout(CALL_DEADLINE, session.client.renew_certificate(request)).await;
    let renewed = renewed.map_err(|_| format!("no answer within {CALL_DEADLINE:?}"))?;
    let renewed = renewed.map_err(|status| status.message().to_owned())?.into_inner();
    let shown = net.credentials.watch().borrow().clone();
    let authority = shown
        .ok_or("there is no certificate to renew")?
        .trust
        .authority()
        .clone();
    tell_time(net, renewed.time_ms);
    show(net, &renewed.certificate, authority)
}
