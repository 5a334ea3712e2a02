//! What the authority certifies, and what becomes of its files.

use std::os::unix::fs::PermissionsExt as _;

use peerchat_identity::{DeviceCertificate, tls};
use proptest::prelude::*;

use super::*;

const LIFETIME: Duration = Duration::from_secs(12 * 3_600);

fn alice() -> UserName {
    UserName::new("Älice").unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    (parent, folder)
}

#[test]
fn a_certificate_is_for_this_device_this_user_and_this_time() {
    let authority = Authority::in_memory().unwrap();
    let device = DeviceKey::generate().unwrap();
    let issued = authority.issue(&device.public(), &alice(), LIFETIME, now()).unwrap();
    let trust = authority.trust();
    let certificate = trust.valid(&issued, now()).unwrap();
    assert_eq!(
        (certificate.device, certificate.user.shown()),
        (device.public(), "Älice")
    );
    assert_eq!(certificate.not_before, now() - CLOCKS_APART);
    assert_eq!(certificate.not_after, now() + LIFETIME);
    assert!(trust.valid(&issued, now() + LIFETIME + Duration::from_secs(1)).is_err());
    assert!(
        trust
            .valid(&issued, now() - CLOCKS_APART - Duration::from_secs(1))
            .is_err()
    );
    let other = Authority::in_memory().unwrap();
    assert!(other.trust().valid(&issued, now()).is_err());
    assert_ne!(other.fingerprint(), authority.fingerprint());

    let again = authority.issue(&device.public(), &alice(), LIFETIME, now()).unwrap();
    assert_ne!(again, issued, "each has a serial number of its own");
    tls::peer_server(&device, &certificate, trust, tls::system_clock()).unwrap();
    tls::peer_client(&device, &certificate, trust, tls::system_clock()).unwrap();
}

/// A certificate of the authority's that another device's key signed.
#[test]
fn a_device_is_no_authority() {
    let authority = Authority::in_memory().unwrap();
    let (mallory, victim) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
    let own = authority.issue(&mallory.public(), &alice(), LIFETIME, now()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&own, Key::from(mallory)).unwrap();
    let mut params = leaf("Peerchat device");
    params.subject_alt_names = vec![
        SanType::DnsName(san::dns_name(&victim.public()).try_into().unwrap()),
        SanType::URI(san::user_uri(&alice()).try_into().unwrap()),
    ];
    let forged = params.signed_by(&Certified(victim.public()), &issuer).unwrap();
    DeviceCertificate::parse(forged.der()).unwrap();
    assert!(authority.trust().valid(forged.der(), now()).is_err());
}

/// What a stolen key could certify for the rest of the world.
#[test]
fn the_authority_is_for_names_of_peerchat_only() {
    let authority = Authority::in_memory().unwrap();
    let key = DeviceKey::generate().unwrap();
    let config = |name: &str| {
        let mut params = leaf("anything");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let der = params
            .signed_by(&Certified(key.public()), &authority.issuer)
            .unwrap()
            .der()
            .clone();
        let anchor = rustls::pki_types::TrustAnchor::to_owned(
            &webpki::anchor_from_trusted_cert(authority.trust().authority()).unwrap(),
        );
        webpki::EndEntityCert::try_from(&der)
            .unwrap()
            .verify_for_usage(
                &[webpki::ring::ED25519],
                &[anchor],
                &[],
                rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map(drop)
    };
    assert_eq!(config("registry.internal"), Ok(()));
    assert_eq!(config("x.device.internal"), Ok(()));
    assert_eq!(config("example.com"), Err(webpki::Error::NameConstraintViolation));
    assert_eq!(config("internal"), Err(webpki::Error::NameConstraintViolation));
}

#[test]
fn an_authority_is_the_same_after_a_restart() {
    let (_parent, folder) = folder();
    assert!(Authority::find(&folder).unwrap().is_none());
    assert!(!folder.exists(), "whoever only asks makes nothing");
    let first = Authority::open(&folder).unwrap();
    let issued = first.issue(&[7; 32], &alice(), LIFETIME, now()).unwrap();
    let again = Authority::open(&folder).unwrap();
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert_eq!(
        Authority::find(&folder).unwrap().unwrap().fingerprint(),
        first.fingerprint()
    );
    again.trust().valid(&issued, now()).unwrap();
    let mode = fs::metadata(folder.join(KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    fs::remove_file(folder.join(CERTIFICATE_FILE)).unwrap();
    let again = Authority::open(&folder).unwrap();
    assert_eq!(
        again.fingerprint(),
        first.fingerprint(),
        "the certificate follows from the key"
    );
    assert!(folder.join(CERTIFICATE_FILE).exists());
}

#[test]
fn what_is_wrong_with_an_authority_is_said_and_nothing_is_replaced() {
    let (_parent, folder) = folder();
    Authority::open(&folder).unwrap();
    let (key, certificate) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
    let kept = fs::read(&key).unwrap();

    let stranger = Authority::in_memory().unwrap();
    secret_file::write(&certificate, stranger.trust().authority()).unwrap();
    assert!(matches!(Authority::open(&folder), Err(AuthorityError::Unfit { .. })));
    secret_file::write(&certificate, b"nonsense").unwrap();
    assert!(matches!(Authority::open(&folder), Err(AuthorityError::Unfit { .. })));
    secret_file::write(&key, b"nonsense").unwrap();
    assert!(matches!(Authority::open(&folder), Err(AuthorityError::Key { .. })));
    fs::remove_file(&key).unwrap();
    assert!(matches!(Authority::open(&folder), Err(AuthorityError::KeyLost { .. })));
    fs::write(&key, &kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = Authority::open(&folder).unwrap_err().to_string();
    assert!(told.contains("chmod 600"), "{told}");
    assert_eq!(fs::read(&key).unwrap(), kept);
}

#[test]
fn those_who_start_at_once_have_one_authority() {
    let (_parent, folder) = folder();
    secret_file::private_folder(&folder).unwrap();
    let open = || Authority::open(&folder).unwrap().fingerprint();
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(all.iter().all(|fingerprint| *fingerprint == all[0]));
}

#[test]
fn the_registry_shows_its_authority_and_a_new_key() {
    let authority = Authority::in_memory().unwrap();
    let (chain, key) = authority.registry_identity().unwrap();
    assert_eq!(chain.len(), 2);
    assert_eq!(Fingerprint::of(&chain[1]), authority.fingerprint());
    let (again, _) = authority.registry_identity().unwrap();
    assert_ne!(again[0], chain[0]);
    assert!(DeviceCertificate::parse(&chain[0]).is_err(), "it is no device");
    tls::registry_server(chain, key).unwrap();
}

#[test]
fn a_node_is_known_by_its_certificate_whatever_the_clocks_say() {
    let authority = Authority::in_memory().unwrap();
    let (trust, hour) = (authority.trust(), Duration::from_secs(3_600));
    let NodeIdentity { certificate, key, .. } = authority.node_identity(NodeId::new(2).unwrap()).unwrap();
    for clock in [now() - hour, now(), now() + hour, now() + 100_000 * hour] {
        assert_eq!(trust.node(&certificate, clock), Ok(2));
    }
    assert!(DeviceCertificate::parse(&certificate).is_err(), "it is no device");
    tls::node_client(certificate.clone(), key, trust).unwrap();
    let other = Authority::in_memory().unwrap();
    assert!(matches!(
        other.trust().node(&certificate, now()),
        Err(CertificateError::NotTrusted(_))
    ));

    let device = DeviceKey::generate().unwrap();
    let issued = authority.issue(&device.public(), &alice(), LIFETIME, now()).unwrap();
    assert_eq!(trust.node(&issued, now()), Err(CertificateError::NoNode));
    // What a registry shows to its callers is not what it shows as a caller.
    let chain = authority.node_identity(NodeId::new(2).unwrap()).unwrap().chain;
    assert_eq!(trust.node(&chain[0], now()), Err(CertificateError::NoNode));
}

/// Any node of a cluster certifies for all.
#[test]
fn what_a_registry_certifies_whose_clock_is_an_hour_off_is_valid_at_once() {
    let authority = Authority::in_memory().unwrap();
    let device = DeviceKey::generate().unwrap().public();
    let hour = Duration::from_secs(3_600);
    for clock in [now() - hour, now() + hour] {
        let issued = authority.issue(&device, &alice(), LIFETIME, clock).unwrap();
        authority.trust().valid(&issued, now()).unwrap();
    }
}

#[test]
fn an_authority_is_created_once() {
    let (_parent, folder) = folder();
    let created = Authority::create(&folder).unwrap().fingerprint();
    assert!(matches!(Authority::create(&folder), Err(AuthorityError::Exists { .. })));
    assert_eq!(Authority::find(&folder).unwrap().unwrap().fingerprint(), created);
    fs::remove_file(folder.join(KEY_FILE)).unwrap();
    assert!(matches!(Authority::create(&folder), Err(AuthorityError::Exists { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_name_clock_and_lifetime_make_a_certificate(
        name in "\\PC{1,64}", seconds: u64, lifetime in 0_u64..10_000_000, device: DeviceBytes,
    ) {
        let Ok(user) = UserName::new(&name) else { return Ok(()) };
        let seconds = Duration::from_secs(seconds % (1 << 40));
        let authority = Authority::in_memory().unwrap();
        let now = SystemTime::UNIX_EPOCH + seconds;
        let issued = authority.issue(&device, &user, Duration::from_secs(lifetime), now).unwrap();
        let read = authority.trust().introduced(&issued).unwrap();
        prop_assert_eq!(read.user.shown(), user.shown());
        prop_assert_eq!(read.device, device);
    }
}
