//! A peer made by the tests themselves, which may say what no honest one would: it speaks the contract with the generated types and
//! keeps no rule that is not kept for it here.

mod pen;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use peerchat_identity::{DeviceCertificate, DeviceKey, Trust, connect, tls};
use peerchat_proto::v1::{
    Author, Conversation, Entry, Frame, Hello, HistoryRequest, JoinRoomRequest, LeaveRoomRequest, LinkRequest,
    LinkResponse, LogInRequest, VersionRequest, WatchRequest, chat_service_client::ChatServiceClient,
    routing_service_client::RoutingServiceClient,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

pub use self::pen::{Pen, author, body_of, direct, encoded, entries, room, seal, seen};
use crate::harness::{DEADLINE, Peer, Site};

/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// No message of a client's own making is kept from being sent.
const ANY_SIZE: usize = 64 * 1024 * 1024;

/// gRPC with whoever has a certificate for `name` at `address`.
pub async fn channel(address: impl std::fmt::Display, name: ServerName<'static>, tls: Arc<ClientConfig>) -> Channel {
    let stream = connect::connect(&address.to_string(), name, tls).await.unwrap();
    connect::grpc(stream, Endpoint::from_static("https://peer"))
        .await
        .unwrap()
}

/// Where a peer listens.
pub fn address_of(peer: &Peer) -> String {
    let ready = peer.events().into_iter().find(|event| event["event"] == "ready");
    ready.unwrap()["listen"].as_str().unwrap().to_owned()
}

/// The device of a peer.
pub fn device_of(peer: &Peer) -> Bytes {
    let ready = peer.events().into_iter().find(|event| event["event"] == "ready");
    let hex = ready.unwrap()["device"].as_str().unwrap().to_owned();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The name under which a peer's device is dialled.
pub fn name_of(peer: &Peer) -> ServerName<'static> {
    tls::device_name(&device_of(peer)[..].try_into().unwrap())
}

/// A user of the tests' own making, logged in at the registry.
pub struct Fake {
    pub user: String,
    pub device: Bytes,
    pub key: DeviceKey,
    /// What the registry has certified.
    pub certificate: DeviceCertificate,
    pub trust: Trust,
    address: SocketAddr,
    lease: Bytes,
    registry: RoutingServiceClient<Channel>,
    runtime: Runtime,
}

impl Fake {
    /// Logs in, as one who is to be found at an address where nobody listens.
    pub fn log_in(site: &Site, user: &str) -> Self {
        // A port of the range that is given to nobody, so that a dial is refused at once.
        Self::log_in_at(site, user, "127.0.0.1:1".parse().unwrap())
    }

    /// Logs in, as one who is to be found at `address`.
    pub fn log_in_at(site: &Site, user: &str, address: SocketAddr) -> Self {
        Self::log_in_with(site, user, address, DeviceKey::generate().unwrap())
    }

    /// Logs in as a further device of a user who has a password.
    pub fn log_in_as_device(site: &Site, user: &str, password: &str) -> Self {
        let key = DeviceKey::generate().unwrap();
        Self::log_in_full(site, user, "127.0.0.1:1".parse().unwrap(), key, password.trim())
    }

    /// Logs in with a certain device.
    pub fn log_in_with(site: &Site, user: &str, address: SocketAddr, key: DeviceKey) -> Self {
        Self::log_in_full(site, user, address, key, "")
    }

    fn log_in_full(site: &Site, user: &str, address: SocketAddr, key: DeviceKey, password: &str) -> Self {
        let device = Bytes::copy_from_slice(&key.public());
        let runtime = runtime();
        let (registry, login) = runtime.block_on(async {
            let tls = tls::registry_client(&key).unwrap();
            let channel = channel(site.registry.address, tls::registry_name(), tls).await;
            let mut registry = RoutingServiceClient::new(channel);
            let request = LogInRequest {
                user: user.into(),
                address: address.to_string(),
                password: password.to_owned(),
                ..LogInRequest::default()
            };
            let login = registry.log_in(request).await.unwrap().into_inner();
            (registry, login)
        });
        runtime.spawn(renew(registry.clone(), login.lease.clone()));
        Self {
            user: user.into(),
            device,
            key,
            certificate: DeviceCertificate::parse(&login.certificate.to_vec().into()).unwrap(),
            trust: Trust::new(login.authority.to_vec().into()).unwrap(),
            address,
            lease: login.lease,
            registry,
            runtime,
        }
    }

    /// What it shows when it dials.
    pub fn tls(&self) -> Arc<ClientConfig> {
        tls::peer_client(&self.key, &self.certificate, &self.trust, tls::system_clock()).unwrap()
    }

    /// Waits for something, for a time.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let in_time = async { tokio::time::timeout(DEADLINE, future).await };
        self.runtime.block_on(in_time).expect("it answers in time")
    }

    /// Says at the registry that it is in a room.
    pub fn join(&mut self, room: &str) {
        let (lease, room) = (self.lease.clone(), room.into());
        let mut registry = self.registry.clone();
        self.block_on(registry.join_room(JoinRoomRequest { lease, room }))
            .unwrap();
    }

    /// Says at the registry that it has left a room.
    pub fn leave(&mut self, room: &str) {
        let (lease, room) = (self.lease.clone(), room.into());
        let mut registry = self.registry.clone();
        self.block_on(registry.leave_room(LeaveRoomRequest { lease, room }))
            .unwrap();
    }

    /// How much a peer says that it holds of a conversation.
    pub fn ask_version(&self, of: &Peer, conversation: Conversation) -> Result<u64, Status> {
        let mut client = self.client(of);
        let request = VersionRequest {
            conversation: Some(conversation),
        };
        Ok(self.block_on(client.version(request))?.into_inner().version)
    }

    /// How many entries a peer gives of a conversation.
    pub fn ask_history(&self, of: &Peer, conversation: Conversation) -> Result<usize, Status> {
        let mut client = self.client(of);
        let request = HistoryRequest {
            conversation: Some(conversation),
            heights: Vec::new(),
        };
        self.block_on(async {
            let mut parts = client.history(request).await?.into_inner();
            let mut count = 0;
            while let Some(part) = parts.message().await? {
                count += part.entries.len();
            }
            Ok(count)
        })
    }

    /// A good author of its own.
    pub fn author(&self) -> Author {
        author(&self.device, 7)
    }

    /// A frame with these entries, each sealed as its author would.
    pub fn sealed(&self, entries: &[Entry]) -> Frame {
        let seals = entries.iter().map(|entry| seal(&self.key, entry)).collect();
        Frame {
            seals,
            ..self::entries(entries)
        }
    }

    /// What the first entry of an author of its authority names.
    pub fn origin(&self) -> [u8; 32] {
        self.trust.fingerprint().bytes()
    }

    pub fn pen(&self, conversation: Conversation) -> Pen {
        Pen::new(&self.user, self.author(), conversation, self.origin())
    }

    pub fn hello(&self) -> Hello {
        Hello {
            session: 1,
            address: self.address.to_string(),
        }
    }

    /// Calls of a peer's own service.
    pub fn client(&self, to: &Peer) -> ChatServiceClient<Channel> {
        let channel = self.block_on(channel(address_of(to), name_of(to), self.tls()));
        ChatServiceClient::new(channel).max_encoding_message_size(ANY_SIZE)
    }

    /// Opens a link with a first frame; what the other side answers.
    pub fn try_link(&self, to: &Peer, first: Frame) -> Result<Link<'_>, Status> {
        let mut client = self.client(to);
        let (outgoing, frames) = mpsc::channel(16);
        self.block_on(async {
            let request = |frame| LinkRequest { frame: Some(frame) };
            outgoing.send(first).await.unwrap();
            let incoming = client
                .link(ReceiverStream::new(frames).map(request))
                .await?
                .into_inner();
            let fake = self;
            Ok(Link {
                fake,
                outgoing,
                incoming,
            })
        })
    }

    /// Opens a link as it should be, and waits for the answer's hello.
    pub fn link(&self, to: &Peer) -> Link<'_> {
        let first = Frame {
            hello: Some(self.hello()),
            ..Frame::default()
        };
        let mut link = self.try_link(to, first).unwrap();
        link.next().expect("a first frame").hello.expect("a hello");
        link
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Keeps a lease.
async fn renew(mut registry: RoutingServiceClient<Channel>, lease: Bytes) {
    let (sender, requests) = mpsc::channel(1);
    let renewals = async {
        let users = Vec::new();
        while sender
            .send(WatchRequest {
                lease: lease.clone(),
                users: users.clone(),
            })
            .await
            .is_ok()
        {
            tokio::time::sleep(RENEW_EVERY).await;
        }
    };
    let changes = async {
        let mut changes = registry
            .watch(ReceiverStream::new(requests))
            .await
            .unwrap()
            .into_inner();
        while let Ok(Some(_)) = changes.message().await {}
    };
    tokio::join!(renewals, changes);
}

/// A link to a peer.
pub struct Link<'f> {
    fake: &'f Fake,
    outgoing: mpsc::Sender<Frame>,
    incoming: Streaming<LinkResponse>,
}

impl Link<'_> {
    /// Sends a frame, unless the link is closed.
    pub fn send(&self, frame: Frame) {
        // Where it is closed, what comes in says why.
        let _closed = self.fake.block_on(self.outgoing.send(frame));
    }

    /// The next frame; none at the link's end.
    pub fn next(&mut self) -> Option<Frame> {
        let Self { fake, incoming, .. } = self;
        fake.block_on(incoming.message())
            .ok()
            .flatten()
            .map(|next| next.frame.unwrap_or_default())
    }

    /// The first frame for which `is_it` says so.
    pub fn wait(&mut self, what: &str, mut is_it: impl FnMut(&Frame) -> bool) -> Frame {
        loop {
            let next = self.next().unwrap_or_else(|| panic!("the link ended before {what}"));
            if is_it(&next) {
                return next;
            }
        }
    }

    /// Waits until the other side has `seq` of its entries in its log.
    pub fn wait_stored(&mut self, author: &Author, seq: u64) {
        self.wait("the ack", |frame| {
            frame
                .acks
                .iter()
                .any(|ack| ack.author.as_ref() == Some(author) && ack.stored >= seq)
        });
    }

    /// Waits until the other side closes the link. Returns why.
    pub fn wait_bye(&mut self) -> (peerchat_proto::v1::ByeReason, String) {
        let bye = self.wait("a bye", |frame| frame.bye.is_some()).bye.unwrap();
        (bye.reason(), bye.message)
    }
}
