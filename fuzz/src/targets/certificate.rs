//! Certificates: what is read of any bytes, and whose are believed.

use std::{
    collections::BTreeSet,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use peerchat_identity::{DeviceCertificate, Trust, san};
use peerchat_registry::authority::Authority;

use crate::{dice::Dice, pens::user, within};

struct Issued {
    trust: Trust,
    /// For the device and its user, another user's, and that of another authority.
    certificates: Vec<Vec<u8>>,
    genuine: BTreeSet<Vec<u8>>,
}

/// Keys are new in each run: no input depends on them, but as far as it changes a certificate in places.
static ISSUED: LazyLock<Issued> = LazyLock::new(|| {
    let issue = |authority: &Authority, device: u8, name: &str| {
        let certificate = authority.issue(&[device; 32], &user(name), Duration::from_secs(3_600), SystemTime::now());
        certificate.expect("it can be issued").to_vec()
    };
    let (ours, other) = (Authority::in_memory().expect("keys"), Authority::in_memory().expect("keys"));
    let genuine = [issue(&ours, 1, "alice"), issue(&ours, 2, "Zoë")];
    let foreign = issue(&other, 1, "alice");
    Issued {
        trust: ours.trust().clone(),
        certificates: genuine.iter().cloned().chain([foreign, other.trust().authority().to_vec()]).collect(),
        genuine: genuine.into(),
    }
});

/// Reads bytes, or a certificate that was changed.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let issued = &*ISSUED;
    let bytes = match dice.below(issued.certificates.len() + 1) {
        0 => dice.rest().to_vec(),
        nth => {
            let mut changed = issued.certificates[nth - 1].clone();
            if dice.bool() {
                dice.edit(&mut changed);
            }
            changed
        }
    };
    let der = bytes.clone().into();
    within(64 * 1024, 100, bytes.len(), || {
        let read = DeviceCertificate::parse(&der);
        if let Ok(read) = &read {
            assert_eq!(san::device(&san::dns_name(&read.device)), Some(read.device));
            assert_eq!(san::user(&san::user_uri(&read.user)).as_ref(), Some(&read.user));
        }
        let now = SystemTime::now();
        let believed = [issued.trust.valid(&der, now), issued.trust.introduced(&der)];
        for certificate in believed.into_iter().flatten() {
            assert!(issued.genuine.contains(&bytes), "a certificate that nobody has issued is believed");
            assert_eq!(Ok(certificate), read);
        }
        assert!(issued.trust.node(&der, now).is_err() && issued.trust.operator(&der, now).is_err());
        let _authority = Trust::new(bytes.clone().into());
    });
}

/// Certificates that are changed in a place, and the beginning of one.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (1..=4).flat_map(|nth| [vec![nth, 0], vec![nth, 1, 0, 60, 0, 0, 1]]).collect();
    all.push([&[0][..], &ISSUED.certificates[0]].concat());
    all
}
