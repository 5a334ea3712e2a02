//! Devices of the tests' own, which call a registry as peers would.

use std::{
    fmt::Display,
    sync::{Arc, LazyLock},
    time::Duration,
};

use peerchat_identity::{DeviceKey, Fingerprint, connect, tls};
use peerchat_proto::v1::{
    self, account_service_client::AccountServiceClient, link_device_response::Step,
    routing_service_client::RoutingServiceClient, watch_response::Change,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::harness::{Registry, SOON};

pub(crate) type Client = RoutingServiceClient<Channel>;
pub(crate) type Accounts = AccountServiceClient<Channel>;

/// The keys of the devices that tests know by a number.
static KEYS: LazyLock<Vec<DeviceKey>> =
    LazyLock::new(|| (0..=u8::MAX).map(|_| DeviceKey::generate().unwrap()).collect());

pub(crate) fn key(n: u8) -> &'static DeviceKey {
    &KEYS[usize::from(n)]
}

/// The bytes of a device.
pub(crate) fn device(n: u8) -> Vec<u8> {
    key(n).public().to_vec()
}

/// Which of the tests' devices it is.
fn number(device: &[u8]) -> String {
    let n = KEYS.iter().position(|key| key.public() == device);
    n.map_or("unknown".to_owned(), |n| n.to_string())
}

/// A connection to whichever registry is at this address.
pub(crate) async fn dial(address: &str, key: &DeviceKey, endpoint: Endpoint) -> Channel {
    try_dial(address, key, endpoint).await.unwrap()
}

/// A connection to whichever registry is at this address. Unavailable where none lets it in.
pub(crate) async fn try_dial(address: &str, key: &DeviceKey, endpoint: Endpoint) -> Result<Channel, Status> {
    let away = |error: &dyn Display| Status::unavailable(error.to_string());
    let tls = tls::registry_client(key).unwrap();
    let stream = connect::connect(address, tls::registry_name(), tls).await;
    let channel = connect::grpc(stream.map_err(|error| away(&error))?, endpoint).await;
    channel.map_err(|error| away(&error))
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint::from_static("https://registry")
}

/// What a registry shows of itself, and a configuration with which one connects to it and shows nothing.
pub(crate) async fn shown(address: &str) -> (Fingerprint, Arc<ClientConfig>) {
    let tls = tls::registry_client(key(0)).unwrap();
    let stream = connect::connect(address, tls::registry_name(), tls).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(chain.last().unwrap().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (connect::registry_fingerprint(&stream).unwrap(), Arc::new(config))
}

impl Registry {
    /// A connection of a device.
    pub(crate) async fn channel(&self, n: u8) -> Channel {
        dial(&self.address, key(n), endpoint()).await
    }

    /// A connection of somebody who shows no certificate.
    pub(crate) async fn nameless_channel(&self) -> Channel {
        let (_, tls) = shown(&self.address).await;
        let stream = connect::connect(&self.address, tls::registry_name(), tls)
            .await
            .unwrap();
        connect::grpc(stream, endpoint()).await.unwrap()
    }

    pub(crate) async fn client(&self, n: u8) -> Client {
        Client::new(self.channel(n).await)
    }

    pub(crate) async fn fingerprint(&self) -> Fingerprint {
        shown(&self.address).await.0
    }
}

pub(crate) fn login(user: &str, address: &str) -> v1::LogInRequest {
    v1::LogInRequest {
        user: user.to_owned(),
        address: address.to_owned(),
        ..Default::default()
    }
}

/// A logged-in device, as a peer would be.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) accounts: Accounts,
    pub(crate) lease: Vec<u8>,
    /// What its log-in was answered.
    pub(crate) answer: v1::LogInResponse,
}

impl Caller {
    pub(crate) async fn log_in(registry: &Registry, user: &str, n: u8) -> Self {
        Self::try_log_in(registry, n, login(user, &address(n))).await.unwrap()
    }

    pub(crate) async fn log_in_with(registry: &Registry, user: &str, n: u8, password: &str) -> Result<Self, Status> {
        let request = v1::LogInRequest {
            password: password.to_owned(),
            ..login(user, &address(n))
        };
        Self::try_log_in(registry, n, request).await
    }

    pub(crate) async fn try_log_in(registry: &Registry, n: u8, request: v1::LogInRequest) -> Result<Self, Status> {
        Self::over(registry.channel(n).await, request).await
    }

    /// Logs in over a connection that is there.
    pub(crate) async fn over(channel: Channel, request: v1::LogInRequest) -> Result<Self, Status> {
        let (mut client, accounts) = (Client::new(channel.clone()), Accounts::new(channel));
        let answer = client.log_in(request).await?.into_inner();
        let lease = answer.lease.to_vec();
        Ok(Self {
            client,
            accounts,
            lease,
            answer,
        })
    }

    pub(crate) async fn find(&mut self, user: &str) -> Result<Vec<v1::Peer>, Status> {
        let (lease, user) = (self.lease.clone().into(), user.to_owned());
        let answer = self.client.find(v1::FindRequest { lease, user }).await?;
        Ok(answer.into_inner().peers)
    }

    pub(crate) async fn join(&mut self, room: &str) -> Result<v1::JoinRoomResponse, Status> {
        let (lease, room) = (self.lease.clone().into(), room.to_owned());
        let answer = self.client.join_room(v1::JoinRoomRequest { lease, room }).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn leave(&mut self, room: &str) -> Result<bool, Status> {
        let (lease, room) = (self.lease.clone().into(), room.to_owned());
        let answer = self.client.leave_room(v1::LeaveRoomRequest { lease, room }).await?;
        Ok(answer.into_inner().dismissed)
    }

    pub(crate) async fn list_rooms(&mut self) -> Result<Vec<v1::Room>, Status> {
        let request = v1::ListRoomsRequest {
            lease: self.lease.clone().into(),
            ..Default::default()
        };
        Ok(self.client.list_rooms(request).await?.into_inner().rooms)
    }

    pub(crate) async fn log_out(&mut self) -> Result<(), Status> {
        let lease = self.lease.clone().into();
        self.client.log_out(v1::LogOutRequest { lease }).await.map(drop)
    }

    pub(crate) async fn renew_certificate(&mut self) -> Result<Vec<u8>, Status> {
        let lease = self.lease.clone().into();
        let answer = self
            .client
            .renew_certificate(v1::RenewCertificateRequest { lease })
            .await?;
        Ok(answer.into_inner().certificate.to_vec())
    }

    pub(crate) async fn devices(&mut self) -> Result<v1::ListDevicesResponse, Status> {
        let lease = self.lease.clone().into();
        let answer = self.accounts.list_devices(v1::ListDevicesRequest { lease }).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn revoke(&mut self, n: u8) -> Result<(), Status> {
        let (lease, device) = (self.lease.clone().into(), device(n).into());
        let request = v1::RevokeDeviceRequest { lease, device };
        self.accounts.revoke_device(request).await.map(drop)
    }

    pub(crate) async fn set_password(&mut self, password: &str) -> Result<(), Status> {
        let (lease, password) = (self.lease.clone().into(), password.to_owned());
        let request = v1::SetPasswordRequest { lease, password };
        self.accounts.set_password(request).await.map(drop)
    }

    pub(crate) async fn approve(&mut self, code: &str) -> Result<v1::ApproveDeviceResponse, Status> {
        let (lease, code) = (self.lease.clone().into(), code.to_owned());
        let answer = self
            .accounts
            .approve_device(v1::ApproveDeviceRequest { lease, code })
            .await?;
        Ok(answer.into_inner())
    }

    /// Opens the stream and waits until it is ready; nobody is revoked.
    pub(crate) async fn watch(&mut self, users: &[&str]) -> Watcher {
        let mut watcher = self.try_watch(users).await.unwrap();
        assert_eq!(watcher.heard().await, "revoked ");
        watcher
    }

    /// Opens the stream and waits until it is ready. Next it tells who is revoked.
    pub(crate) async fn try_watch(&mut self, users: &[&str]) -> Result<Watcher, Status> {
        let (requests, sent) = mpsc::channel(8);
        let changes = self.client.watch(ReceiverStream::new(sent)).await?.into_inner();
        let mut watcher = Watcher { requests, changes };
        watcher.renew(&self.lease, users).await;
        assert!(matches!(watcher.next().await?, Some(Change::Ready(_))));
        Ok(watcher)
    }
}

/// Where a device says that it listens.
pub(crate) fn address(n: u8) -> String {
    format!("127.0.0.1:{}", 40_000 + u16::from(n))
}

/// A device that asks to be approved.
pub(crate) struct Linking(Streaming<v1::LinkDeviceResponse>);

impl Linking {
    /// Asks, and waits for nothing.
    pub(crate) async fn ask(channel: Channel, user: &str) -> Result<Self, Status> {
        let request = v1::LinkDeviceRequest {
            user: user.to_owned(),
            label: "phone".to_owned(),
        };
        Ok(Self(Accounts::new(channel).link_device(request).await?.into_inner()))
    }

    /// The code that it is to show.
    pub(crate) async fn code(&mut self) -> String {
        match self.next().await.unwrap() {
            Some(Step::Code(code)) => code.code,
            other => panic!("no code but {other:?}"),
        }
    }

    /// The next step; None at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>, Status> {
        let next = self.next_within(SOON).await;
        next.expect("nothing came in time")
    }

    /// The next step; None where none came within this time.
    pub(crate) async fn next_within(&mut self, span: Duration) -> Option<Result<Option<Step>, Status>> {
        let step = tokio::time::timeout(span, self.0.message()).await.ok()?;
        Some(step.map(|message| message.map(|message| message.step.expect("one step is set"))))
    }
}

pub(crate) struct Watcher {
    pub(crate) requests: mpsc::Sender<v1::WatchRequest>,
    pub(crate) changes: Streaming<v1::WatchResponse>,
}

impl Watcher {
    pub(crate) async fn renew(&self, lease: &[u8], users: &[&str]) {
        let request = v1::WatchRequest {
            lease: lease.to_vec().into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
        };
        self.requests.send(request).await.unwrap();
    }

    /// The next change; None at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Change>, Status> {
        self.next_within(SOON).await
    }

    pub(crate) async fn next_within(&mut self, span: Duration) -> Result<Option<Change>, Status> {
        let message = tokio::time::timeout(span, self.changes.message())
            .await
            .expect("no change came in time")?;
        Ok(message.map(|message| message.change.expect("one change is set")))
    }

    /// The next change in short: `bob Here`, `#lobby bob Left`, …
    pub(crate) async fn heard(&mut self) -> String {
        short(self.next().await.unwrap().expect("the stream goes on"))
    }
}

/// A change in short.
pub(crate) fn short(change: Change) -> String {
    match change {
        Change::Ready(_) => "ready".to_owned(),
        Change::Revoked(revoked) => {
            let devices: Vec<String> = revoked.devices.iter().map(|device| number(device)).collect();
            format!("revoked {}", devices.join(" "))
        }
        Change::Attempt(attempt) => {
            let outcome = attempt.outcome();
            format!("attempt {} {} {outcome:?}", number(&attempt.device), attempt.host)
        }
        Change::Presence(change) => {
            let (liveness, peer) = (change.liveness(), change.peer.unwrap());
            let what = if peer.device.is_empty() {
                "offline ".to_owned()
            } else {
                String::new()
            };
            format!("{what}{} {liveness:?}", peer.user)
        }
        Change::Room(change) => {
            format!(
                "#{} {} {:?}",
                change.room,
                change.peer.as_ref().unwrap().user,
                change.liveness()
            )
        }
    }
}
