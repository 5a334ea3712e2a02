//! The devices that were revoked, as the authority that had certified them has said, and the file in which they outlast a run: a line
//! each, and at the end a check sum.
//!
//! Registries tell of a device for as long as a certificate of it may last, and for that long it is remembered. So a peer that starts while
//! no registry is there refuses whom it refused before.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    path::Path,
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    Fingerprint,
    secret_file::{self, SecretFileError},
};

use crate::node::types::DeviceId;

/// The name of the file.
pub const FILE: &str = "revoked";
/// Where a damaged file goes. There is one at most.
const DAMAGED: &str = "revoked.damaged";

/// How long a device is remembered: no certificate lasts longer.
const KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// The most devices of one authority. Of more those that were revoked last are remembered.
const DEVICES_MAX: usize = 8_192;

/// The most authorities. Of more those that have revoked something last are remembered.
const AUTHORITIES_MAX: usize = 8;

/// More than the longest file has.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Devices that are believed no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// By authority, and when it was heard, in seconds since 1970.
    by: BTreeMap<Fingerprint, BTreeMap<DeviceId, u64>>,
}

impl Revoked {
    /// Whether an authority has revoked a device.
    pub fn has(&self, authority: &Fingerprint, device: &DeviceId) -> bool {
        self.by
            .get(authority)
            .is_some_and(|devices| devices.contains_key(device))
    }

    /// Takes in devices that an authority has revoked, and forgets those that need not be known any longer. Answers whether there was a new one.
    pub fn learn(
        &mut self,
        authority: Fingerprint,
        devices: impl IntoIterator<Item = DeviceId>,
        now: SystemTime,
    ) -> bool {
        let now = seconds(now);
        let known = self.by.entry(authority).or_default();
        let before = known.len();
        for device in devices {
            known.entry(device).or_insert(now);
        }
        let is_news = known.len() > before;
        if is_news {
            self.by.values_mut().for_each(|devices| forget(devices, now));
        }
        self.by.retain(|_, devices| !devices.is_empty());
        while self.by.len() > AUTHORITIES_MAX {
            let last = |devices: &BTreeMap<DeviceId, u64>| devices.values().max().copied();
            let Some(oldest) = self
                .by
                .iter()
                .min_by_key(|(_, devices)| last(devices))
                .map(|(by, _)| *by)
            else {
                break;
            };
            self.by.remove(&oldest);
        }
        is_news
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (authority, devices) in &self.by {
            for (device, heard) in devices {
                // Writing into a text cannot fail.
                let _ = writeln!(text, "{authority} {device} {heard}");
            }
        }
        let _ = writeln!(text, "{:08x}", crc32c::crc32c(text.as_bytes()));
        text
    }

    /// What a file has, and whether it is as it was written. What can be read of a damaged one counts: nobody is believed for it.
    fn from_text(text: &str) -> (Self, bool) {
        let mut revoked = Self::default();
        let body = text.trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1);
        let (body, sum) = text.split_at(body);
        let mut is_whole = sum == format!("{:08x}\n", crc32c::crc32c(body.as_bytes()));
        for line in body.lines() {
            let Some((authority, device, heard)) = parse(line) else {
                is_whole = false;
                continue;
            };
            revoked.by.entry(authority).or_default().insert(device, heard);
        }
        for devices in revoked.by.values_mut() {
            forget(devices, 0);
        }
        (revoked, is_whole)
    }
}

/// Forgets what was heard too long ago, and what are too many.
fn forget(devices: &mut BTreeMap<DeviceId, u64>, now: u64) {
    devices.retain(|_, heard| now <= heard.saturating_add(KEPT_FOR.as_secs()));
    if devices.len() > DEVICES_MAX {
        let mut times: Vec<(u64, DeviceId)> = devices.iter().map(|(device, heard)| (*heard, *device)).collect();
        times.sort_unstable();
        for (_, device) in &times[..times.len() - DEVICES_MAX] {
            devices.remove(device);
        }
    }
}

fn parse(line: &str) -> Option<(Fingerprint, DeviceId, u64)> {
    let mut parts = line.split(' ');
    let parsed = (
        parts.next()?.parse().ok()?,
        DeviceId::from_hex(parts.next()?)?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(parsed)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Reads what the last runs have heard. Where the file is damaged, what can be read of it counts; it is set aside, and the second part
/// of the answer tells the user.
pub(super) fn load(folder: &Path) -> (Revoked, Option<String>) {
    let path = folder.join(FILE);
    let bytes = match read(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return (Revoked::default(), None),
        Err(error) => {
            let text = format!(
                "cannot read {}: {error}; until the registry is there, revoked devices are let in again",
                path.display()
            );
            return (Revoked::default(), Some(text));
        }
    };
    let (revoked, is_whole) = Revoked::from_text(&String::from_utf8_lossy(&bytes));
    if is_whole {
        return (revoked, None);
    }
    let aside = folder.join(DAMAGED);
    let kept = match fs::rename(&path, &aside).and_then(|()| save(folder, &revoked).map_err(io::Error::other)) {
        Ok(()) => format!("the file is kept as {}", aside.display()),
        Err(error) => format!("it cannot be set aside: {error}"),
    };
    let count: usize = revoked.by.values().map(BTreeMap::len).sum();
    let text = format!(
        "{} is damaged: of the revoked devices {count} are still known, and others may be let in until the registry is there; {kept}",
        path.display()
    );
    (revoked, Some(text))
}

/// Whether all of a file can be read.
pub fn is_sound(bytes: &[u8]) -> bool {
    (bytes.len() as u64) < BYTES_MAX && Revoked::from_text(&String::from_utf8_lossy(bytes)).1
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Keeps them for the next run.
pub(super) fn save(folder: &Path, revoked: &Revoked) -> Result<(), SecretFileError> {
    secret_file::write(&folder.join(FILE), revoked.to_text().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(n: u8) -> Fingerprint {
        Fingerprint::of(&vec![n].into())
    }

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 32])
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_one_authority_says_counts_under_no_other_one() {
        let mut revoked = Revoked::default();
        assert!(revoked.learn(authority(1), [device(1)], at(0)));
        assert!(!revoked.learn(authority(1), [device(1)], at(1)));
        assert!(revoked.has(&authority(1), &device(1)));
        assert!(!revoked.has(&authority(2), &device(1)));
    }

    #[test]
    fn a_device_is_remembered_for_as_long_as_a_certificate_of_it_may_last() {
        let mut revoked = Revoked::default();
        let week = KEPT_FOR.as_secs();
        revoked.learn(authority(1), [device(1)], at(100));
        revoked.learn(authority(1), [device(2)], at(100 + week));
        assert!(revoked.has(&authority(1), &device(1)));
        revoked.learn(authority(2), [device(3)], at(101 + week));
        assert!(!revoked.has(&authority(1), &device(1)));
        assert!(revoked.has(&authority(1), &device(2)));
    }

    #[test]
    fn what_is_kept_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()), (Revoked::default(), None));
        let mut revoked = Revoked::default();
        revoked.learn(authority(1), [device(1), device(2)], at(5));
        revoked.learn(authority(2), [device(1)], at(6));
        save(folder.path(), &revoked).unwrap();
        assert_eq!(load(folder.path()), (revoked, None));
    }

    #[test]
    fn any_altered_byte_is_told_and_what_can_be_read_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut revoked = Revoked::default();
        revoked.learn(authority(1), [device(1), device(2), device(3)], at(5));
        let text = revoked.to_text().into_bytes();
        for place in 0..text.len() {
            let mut damaged = text.clone();
            damaged[place] ^= 1;
            fs::write(folder.path().join(FILE), &damaged).unwrap();
            let (read, told) = load(folder.path());
            let told = told.unwrap();
            assert!(told.contains("revoked is damaged") && told.contains(DAMAGED), "{told}");
            let has = [1, 2, 3].map(|n| read.has(&authority(1), &device(n)));
            assert!(has.contains(&true), "a line is whole, whichever byte is not");
            assert_eq!(fs::read(folder.path().join(DAMAGED)).unwrap(), damaged);
            assert_eq!(load(folder.path()), (read, None), "told once");
        }
        for cut in 0..text.len() {
            fs::write(folder.path().join(FILE), &text[..cut]).unwrap();
            assert!(load(folder.path()).1.is_some(), "cut at {cut}");
        }
    }

    #[test]
    fn there_are_no_more_than_there_may_be_and_one_authority_pushes_out_no_other_ones() {
        let mut revoked = Revoked::default();
        let many = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            DeviceId(id)
        };
        revoked.learn(authority(1), [device(1)], at(0));
        revoked.learn(authority(2), (0..DEVICES_MAX).map(many), at(1));
        revoked.learn(authority(2), [device(2)], at(2));
        assert_eq!(revoked.by[&authority(2)].len(), DEVICES_MAX);
        assert!(revoked.has(&authority(2), &device(2)) && revoked.has(&authority(1), &device(1)));
        assert!((revoked.to_text().len() as u64) < BYTES_MAX / AUTHORITIES_MAX as u64 * 2);
        for n in 3..=AUTHORITIES_MAX as u8 + 1 {
            revoked.learn(authority(n), [device(n)], at(n.into()));
        }
        assert_eq!(revoked.by.len(), AUTHORITIES_MAX);
        assert!(
            !revoked.has(&authority(1), &device(1)),
            "the one that said something the longest time ago"
        );
    }
}
