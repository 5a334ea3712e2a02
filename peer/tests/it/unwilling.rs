//! Registries that are there, let everybody in, and can do nothing else at the moment: doubles of the tests' own beside a real one.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    accept::{Caller, Limits, accept},
    tls,
};
use peerchat_proto::{
    names::UserName,
    v1::{
        self,
        account_service_server::{AccountService, AccountServiceServer},
        routing_service_server::{RoutingService, RoutingServiceServer},
        watch_response::Change,
    },
};
use peerchat_registry::authority::Authority;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::harness::{DEADLINE, Peer, Site, wait_for};

const LIMITS: Limits = Limits {
    connections_max: 64,
    handshake_timeout: DEADLINE,
    preface_timeout: DEADLINE,
    first_call_timeout: Duration::MAX,
};

/// What it says instead of doing anything.
const REASON: &str = "what this registry is made of is away";

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A registry that runs while this lives.
struct Double {
    address: SocketAddr,
    log_ins: Arc<AtomicUsize>,
    /// It can let peers join rooms.
    can: Arc<AtomicBool>,
    _runtime: Runtime,
}

struct Service {
    authority: Arc<Authority>,
    log_ins: Arc<AtomicUsize>,
    can: Arc<AtomicBool>,
}

impl Double {
    /// One with the authority of the site's registry.
    fn start(site: &Site) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let authority = Arc::new(Authority::find(&site.registry.folder()).unwrap().unwrap());
        let (chain, key) = authority.registry_identity().unwrap();
        let config = tls::registry_server(chain, key).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (log_ins, can) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let service = || Service {
            authority: Arc::clone(&authority),
            log_ins: Arc::clone(&log_ins),
            can: Arc::clone(&can),
        };
        let (routing, accounts) = (service(), service());
        runtime.spawn(async move {
            let config = move || Some(Arc::clone(&config));
            let connections = accept(listener, LIMITS, config, |_| {}, CancellationToken::new());
            let server = tonic::transport::Server::builder()
                .add_service(RoutingServiceServer::new(routing))
                .add_service(AccountServiceServer::new(accounts));
            server.serve_with_incoming(connections).await
        });
        Self {
            address,
            log_ins,
            can,
            _runtime: runtime,
        }
    }
}

fn unwilling<T>() -> Answer<T> {
    Err(Status::unavailable(REASON))
}

#[tonic::async_trait]
impl RoutingService for Service {
    type WatchStream = Answers<v1::WatchResponse>;

    async fn log_in(&self, request: Request<v1::LogInRequest>) -> Answer<v1::LogInResponse> {
        self.log_ins.fetch_add(1, Relaxed);
        let device = request.extensions().get::<Caller>().unwrap().device.unwrap();
        let user = UserName::new(&request.get_ref().user).unwrap();
        let lifetime = Duration::from_secs(3_600);
        let certificate = self
            .authority
            .issue(&device, &user, lifetime, SystemTime::now())
            .unwrap();
        Ok(Response::new(v1::LogInResponse {
            lease: vec![7; 16].into(),
            lease_ms: 15_000,
            address: request.get_ref().address.clone(),
            certificate: certificate.to_vec().into(),
            authority: self.authority.trust().authority().to_vec().into(),
            ..Default::default()
        }))
    }

    async fn watch(&self, _: Request<Streaming<v1::WatchRequest>>) -> Answer<Self::WatchStream> {
        let change = Some(Change::Ready(v1::WatchReady::default()));
        let ready = tokio_stream::once(Ok(v1::WatchResponse { change }));
        Ok(Response::new(Box::pin(ready.chain(tokio_stream::pending()))))
    }

    async fn join_room(&self, _: Request<v1::JoinRoomRequest>) -> Answer<v1::JoinRoomResponse> {
        if !self.can.load(Relaxed) {
            return unwilling();
        }
        // With somebody who is nowhere to be found.
        let members = vec![v1::Peer {
            user: "carol".to_owned(),
            device: vec![9; 32].into(),
            address: "127.0.0.1:9".to_owned(),
        }];
        Ok(Response::new(v1::JoinRoomResponse {
            created: false,
            members,
        }))
    }

    async fn leave_room(&self, _: Request<v1::LeaveRoomRequest>) -> Answer<v1::LeaveRoomResponse> {
        unwilling()
    }

    async fn find(&self, _: Request<v1::FindRequest>) -> Answer<v1::FindResponse> {
        unwilling()
    }

    async fn list_rooms(&self, _: Request<v1::ListRoomsRequest>) -> Answer<v1::ListRoomsResponse> {
        unwilling()
    }

    async fn log_out(&self, _: Request<v1::LogOutRequest>) -> Answer<v1::LogOutResponse> {
        unwilling()
    }

    async fn renew_certificate(&self, _: Request<v1::RenewCertificateRequest>) -> Answer<v1::RenewCertificateResponse> {
        unwilling()
    }
}

#[tonic::async_trait]
impl AccountService for Service {
    type LinkDeviceStream = Answers<v1::LinkDeviceResponse>;

    async fn list_devices(&self, _: Request<v1::ListDevicesRequest>) -> Answer<v1::ListDevicesResponse> {
        unwilling()
    }

    async fn revoke_device(&self, _: Request<v1::RevokeDeviceRequest>) -> Answer<v1::RevokeDeviceResponse> {
        unwilling()
    }

    async fn set_password(&self, _: Request<v1::SetPasswordRequest>) -> Answer<v1::SetPasswordResponse> {
        unwilling()
    }

    async fn link_device(&self, _: Request<v1::LinkDeviceRequest>) -> Answer<Self::LinkDeviceStream> {
        unwilling()
    }

    async fn approve_device(&self, _: Request<v1::ApproveDeviceRequest>) -> Answer<v1::ApproveDeviceResponse> {
        unwilling()
    }
}

#[test]
fn where_no_other_one_works_after_all_nothing_is_lost() {
    let mut site = Site::new();
    let double = Double::start(&site);
    let mut alice = peer(&site, &[double.address, site.registry.address]);
    wait_for("the second to be looked at", || {
        alice.type_line("/status");
        let status = alice.wait("status", |event| event["event"] == "status");
        (status["registries"][1]["state"] == "closed").then_some(())
    });
    site.registry.kill();
    alice.type_line("/passwd a good long password");
    let refused = alice.wait("the answer", |event| event["event"] == "error");
    assert!(refused["message"].as_str().unwrap().contains(REASON), "{refused}");
    let (_, is_lost) = registries(&alice.events());
    assert!(!is_lost, "it is where it was");
    assert!(double.log_ins.load(Relaxed) > 1, "the other one was tried");
    alice.quit();
}

/// Starts a peer that uses the first of these.
fn peer(site: &Site, registries: &[SocketAddr]) -> Peer {
    let list: Vec<String> = registries.iter().map(SocketAddr::to_string).collect();
    let mut peer = Peer::spawn(site.data.path(), &list.join(","), "alice", &[]);
    let ready = peer.wait("ready", |event| event["event"] == "ready");
    assert_eq!(ready["registry"], list[0]);
    peer
}

/// The registries that it was said to be at, and whether it was said to be without one.
fn registries(events: &[Value]) -> (Vec<String>, bool) {
    let of = |state: &str| {
        let events = events
            .iter()
            .filter(|event| event["event"] == "registry" && event["state"] == *state);
        events.cloned().collect::<Vec<_>>()
    };
    let at = |event: &Value| event["address"].as_str().unwrap().to_owned();
    (of("connected").iter().map(at).collect(), !of("lost").is_empty())
}

fn errors(peer: &Peer) -> Vec<String> {
    let events = peer.events();
    let errors = events.iter().filter(|event| event["event"] == "error");
    errors
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn one_that_can_do_nothing_is_left_for_one_that_can() {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    for what in ["/join lobby", "/devices", "/msg bob hello"] {
        let double = Double::start(&site);
        let mut alice = peer(&site, &[double.address, site.registry.address]);
        alice.type_line(what);
        alice.wait(what, |event| match what {
            "/join lobby" => event["event"] == "joined" && event["members"].as_array().unwrap().len() == 2,
            "/devices" => event["event"] == "devices",
            _ => event["event"] == "joined" && event["conversation"] == "@bob",
        });
        let (at, is_lost) = registries(&alice.events());
        assert_eq!(at.last(), Some(&site.registry.address.to_string()), "{what}");
        assert!(!is_lost && errors(&alice).is_empty(), "{what}: {:?}", errors(&alice));
        alice.quit();
    }
}

#[test]
fn where_none_can_do_anything_the_user_is_told_why_once_and_stays() {
    let site = Site::new();
    let doubles = [Double::start(&site), Double::start(&site)];
    let mut alice = peer(&site, &[doubles[0].address, doubles[1].address]);
    alice.type_line("/join lobby");
    alice.wait("lobby", |event| event["event"] == "joined");
    alice.type_line("/join tea");
    alice.wait("tea", |event| {
        event["event"] == "joined" && event["conversation"] == "#tea"
    });
    // What is asked by the user himself is answered with the reason each time.
    for _ in 0..3 {
        alice.type_line("/devices");
        alice.wait("the reason", |event| {
            event["event"] == "error" && event["message"] == REASON
        });
    }
    let said = |alice: &Peer| {
        errors(alice)
            .iter()
            .filter(|message| message.contains(" says: "))
            .count()
    };
    assert_eq!(said(&alice), 1, "{:?}", errors(&alice));
    assert!(errors(&alice).iter().any(|message| message.contains(REASON)));
    let log_ins = || doubles.iter().map(|double| double.log_ins.load(Relaxed)).sum::<usize>();
    assert!(log_ins() <= 3, "nobody goes round: {}", log_ins());
    let (_, is_lost) = registries(&alice.events());
    assert!(!is_lost, "there is a registry");

    // As soon as they can, rooms are joined without anybody typing anything.
    for double in &doubles {
        double.can.store(true, Relaxed);
    }
    wait_for("carol in both rooms", || {
        let events = alice.events();
        let came = |room: &str| {
            events
                .iter()
                .any(|event| event["event"] == "presence" && event["user"] == "carol" && event["conversation"] == *room)
        };
        (came("#lobby") && came("#tea")).then_some(())
    });
    assert!(log_ins() <= 3, "{}", log_ins());
    alice.quit();
}
