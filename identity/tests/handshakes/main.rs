//! Who gets through to whom: real handshakes over loopback, with authorities made for the test.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod connections;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    CertificateError, DeviceCertificate, DeviceKey, Fingerprint, Trust,
    accept::{Connection, Entrance, Limits, accept},
    connect::{connect, registry_fingerprint},
    san, tls,
};
use peerchat_proto::names::UserName;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ED25519, SanType,
    SubjectPublicKeyInfo,
};
use rustls::{
    ClientConfig, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    time_provider::TimeProvider,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;

/// An authority as a registry has one.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3_600)
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn trust(&self) -> Trust {
        Trust::new(self.certificate.clone()).unwrap()
    }

    /// A certificate that ends at `until`.
    fn issue(&self, key: &DeviceKey, user: &str, until: SystemTime) -> DeviceCertificate {
        let user = UserName::new(user).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![
            SanType::DnsName(san::dns_name(&key.public()).try_into().unwrap()),
            SanType::URI(san::user_uri(&user).try_into().unwrap()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (until - hours(12)).into();
        params.not_after = until.into();
        // RFC 8410: what stands before the 32 bytes of an Ed25519 key.
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let public = SubjectPublicKeyInfo::from_der(&[&prefix[..], &key.public()].concat()).unwrap();
        let der = params.signed_by(&public, &self.issuer).unwrap().der().clone();
        DeviceCertificate::parse(&der).unwrap()
    }

    fn registry_with(&self, shown: &CertificateDer<'static>) -> Arc<ServerConfig> {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let params = CertificateParams::new([san::REGISTRY.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        tls::registry_server(vec![leaf, shown.clone()], key).unwrap()
    }
}

/// A device with what it shows.
struct Device {
    key: DeviceKey,
    certificate: DeviceCertificate,
    trust: Trust,
}

impl Device {
    fn new(authority: &Authority, user: &str, until: SystemTime) -> Self {
        let key = DeviceKey::generate().unwrap();
        Self {
            certificate: authority.issue(&key, user, until),
            trust: authority.trust(),
            key,
        }
    }

    fn server(&self) -> Arc<ServerConfig> {
        tls::peer_server(&self.key, &self.certificate, &self.trust, tls::system_clock()).unwrap()
    }

    fn client(&self) -> Arc<ClientConfig> {
        tls::peer_client(&self.key, &self.certificate, &self.trust, tls::system_clock()).unwrap()
    }
}

struct Server {
    address: SocketAddr,
    connections: ReceiverStream<io::Result<Connection>>,
    refused: Arc<AtomicU64>,
    severed: CancellationToken,
}

impl Server {
    async fn start(config: Arc<ServerConfig>, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (refused, severed) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let counter = Arc::clone(&refused);
        let count = move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let config = move || Some(Arc::clone(&config));
        let connections = accept(listener, limits, config, count, severed.clone());
        Self {
            address,
            connections,
            refused,
            severed,
        }
    }

    async fn connection(&mut self) -> Connection {
        self.connections.next().await.unwrap().unwrap()
    }
}

const LIMITS: Limits = Limits {
    connections_max: 16,
    handshake_timeout: Duration::from_secs(60),
    preface_timeout: Duration::from_secs(60),
    first_call_timeout: Duration::MAX,
};

/// What a caller hears who says something: an echo, or the error with which he is sent away.
async fn call(server: &mut Server, config: Arc<ClientConfig>, device: &DeviceKey) -> io::Result<Vec<u8>> {
    let address = server.address.to_string();
    let calling = async {
        let mut stream = connect(&address, tls::device_name(&device.public()), config).await?;
        stream.write_all(b"hello").await?;
        let mut heard = vec![0; 5];
        stream.read_exact(&mut heard).await?;
        Ok(heard)
    };
    let serving = async {
        let mut connection = server.connection().await;
        let mut said = [0; 5];
        // A caller that broke off leaves nothing to answer.
        if connection.read_exact(&mut said).await.is_ok() {
            connection.write_all(&said).await.unwrap();
            connection.flush().await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        heard = calling => heard,
        () = serving => unreachable!(),
    }
}

#[tokio::test]
async fn two_devices_of_one_authority_know_each_other() {
    let authority = Authority::new();
    let later = SystemTime::now() + hours(1);
    let (alice, bob) = (
        Device::new(&authority, "alice", later),
        Device::new(&authority, "Bob", later),
    );
    let mut server = Server::start(bob.server(), LIMITS).await;
    assert_eq!(call(&mut server, alice.client(), &bob.key).await.unwrap(), b"hello");

    let address = server.address.to_string();
    let dialled = connect(&address, tls::device_name(&bob.key.public()), alice.client())
        .await
        .unwrap();
    let found = peerchat_identity::connect::device_certificate(&dialled).unwrap();
    assert_eq!((found.device, found.user.shown()), (bob.key.public(), "Bob"));
    let caller = server.connection().await.connect_info();
    assert_eq!(caller.device, Some(alice.key.public()));
    assert_eq!(caller.certificate.unwrap().user.shown(), "alice");
}

#[tokio::test]
async fn nobody_else_gets_through() {
    let (authority, other) = (Authority::new(), Authority::new());
    let later = SystemTime::now() + hours(1);
    let bob = Device::new(&authority, "bob", later);
    let mut server = Server::start(bob.server(), LIMITS).await;

    let over = Device::new(&authority, "alice", SystemTime::now() - hours(1));
    let strange = Device {
        trust: authority.trust(),
        ..Device::new(&other, "alice", later)
    };
    for (what, caller) in [("an expired one", over), ("one of another authority", strange)] {
        call(&mut server, caller.client(), &bob.key).await.expect_err(what);
    }
    let alice = Device::new(&authority, "alice", later);
    let another = DeviceKey::generate().unwrap();
    call(&mut server, alice.client(), &another)
        .await
        .expect_err("another device was dialled");
    let bare = tls::registry_client(&alice.key).unwrap();
    call(&mut server, bare, &bob.key)
        .await
        .expect_err("a certificate that it signed itself");
    assert!(server.refused.load(Ordering::Relaxed) >= 3);

    // None of them disturbed the next one.
    call(&mut server, alice.client(), &bob.key).await.unwrap();
}

#[tokio::test]
async fn a_dialler_refuses_a_device_whose_certificate_has_ended() {
    let authority = Authority::new();
    let alice = Device::new(&authority, "alice", SystemTime::now() + hours(1));
    let bob = Device::new(&authority, "bob", SystemTime::now() - hours(1));
    let mut server = Server::start(bob.server(), LIMITS).await;
    call(&mut server, alice.client(), &bob.key)
        .await
        .expect_err("it is over");
}

/// A clock that stands.
#[derive(Debug)]
struct At(SystemTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Some(UnixTime::since_unix_epoch(since))
    }
}

#[tokio::test]
async fn both_ends_judge_by_the_clock_that_they_are_given() {
    let authority = Authority::new();
    let ended = SystemTime::now() - hours(24);
    let (alice, bob) = (
        Device::new(&authority, "alice", ended),
        Device::new(&authority, "bob", ended),
    );
    let at = |hours_before| -> Arc<dyn TimeProvider> { Arc::new(At(ended - hours(hours_before))) };
    let server = |clock| tls::peer_server(&bob.key, &bob.certificate, &bob.trust, clock).unwrap();
    let client = |clock| tls::peer_client(&alice.key, &alice.certificate, &alice.trust, clock).unwrap();
    let mut right = Server::start(server(at(6)), LIMITS).await;
    call(&mut right, client(at(1)), &bob.key).await.unwrap();
    for wrong in [tls::system_clock(), at(13)] {
        call(&mut right, client(Arc::clone(&wrong)), &bob.key)
            .await
            .expect_err("the dialler's clock");
        let mut server = Server::start(server(wrong), LIMITS).await;
        call(&mut server, client(at(1)), &bob.key)
            .await
            .expect_err("the other end's clock");
    }
}

#[tokio::test]
async fn a_registry_takes_any_key_and_is_known_by_its_authority() {
    let authority = Authority::new();
    let mut server = Server::start(authority.registry_with(&authority.certificate), LIMITS).await;
    let address = server.address.to_string();
    let key = DeviceKey::generate().unwrap();
    let fingerprint = Fingerprint::of(&authority.certificate);
    let config = tls::registry_client(&key).unwrap();
    let stream = connect(&address, tls::registry_name(), config).await.unwrap();
    assert_eq!(registry_fingerprint(&stream), Some(fingerprint));
    let caller = server.connection().await.connect_info();
    assert_eq!(caller.device, Some(key.public()));
    assert_eq!(caller.certificate, None, "a key says nothing of a user");
}

#[tokio::test]
async fn a_registry_for_which_the_authority_does_not_vouch_is_none() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut server = Server::start(authority.registry_with(&other.certificate), LIMITS).await;
    let address = server.address.to_string();
    let config = tls::registry_client(&DeviceKey::generate().unwrap()).unwrap();
    tokio::select! {
        stream = connect(&address, tls::registry_name(), config) => drop(stream.expect_err("another authority stands behind it")),
        _ = server.connections.next() => panic!("somebody got through"),
    }
}

#[test]
fn an_introduction_outlives_its_certificate_but_not_a_changed_byte() {
    let authority = Authority::new();
    let key = DeviceKey::generate().unwrap();
    let ended = SystemTime::now() - hours(24);
    let certificate = authority.issue(&key, "alice", ended);
    let trust = authority.trust();
    assert_eq!(trust.introduced(&certificate.der).unwrap().user.shown(), "alice");
    let late = trust.valid(&certificate.der, SystemTime::now());
    assert!(matches!(late, Err(CertificateError::NotTrusted(_))));
    assert!(trust.valid(&certificate.der, ended - hours(1)).is_ok());
    assert!(Authority::new().trust().introduced(&certificate.der).is_err());
    for at in 0..certificate.der.len() {
        let mut bytes = certificate.der.to_vec();
        bytes[at] ^= 1;
        let changed = trust.introduced(&CertificateDer::from(bytes));
        assert!(changed.is_err(), "byte {at}");
    }
}
