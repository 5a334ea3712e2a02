//! What a peer remembers of other devices: one file, put in place of the one before.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    log::{Disk, IoError},
    node::{
        Identity,
        event::{Code, Notice},
        people::{Device, People, Person},
        types::{DeviceId, UserName, WallTime},
    },
};

/// The name of the file.
pub const FILE: &str = "people.json";
/// Where a damaged file goes: what is in it may be worth a look. There is one at most.
const DAMAGED: &str = "people.json.damaged";
/// More than [`PEOPLE_MAX`](crate::node::limits::PEOPLE_MAX) users take, each with as many devices as there may be and the longest name.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The file, those who were met the longest ago first.
#[derive(Serialize, Deserialize)]
struct Kept {
    people: Vec<KeptPerson>,
}

#[derive(Serialize, Deserialize)]
struct KeptPerson {
    user: String,
    /// Milliseconds since 1970, as all times here.
    trusted_at: Option<i64>,
    /// The one that was met the longest ago first.
    devices: Vec<KeptDevice>,
}

#[derive(Serialize, Deserialize)]
struct KeptDevice {
    device: String,
    first_met: i64,
    last_met: i64,
    trusted: bool,
}

/// Reads whom the last runs have met. Of a damaged file nothing is believed: it is set aside, and the user is told, since with it he
/// has lost whom he trusts.
///
/// # Errors
/// The disk refuses.
pub fn load<D: Disk>(disk: &D, folder: &Path, me: &Identity) -> Result<(People, Option<Notice>), IoError> {
    let path = folder.join(FILE);
    let Some(bytes) = disk.read_small(&path, BYTES_MAX)? else {
        return Ok((People::new(me.clone()), None));
    };
    if let Some(people) = read(&bytes, me) {
        return Ok((people, None));
    }
    let aside = folder.join(DAMAGED);
    disk.rename(&path, &aside)?;
    disk.sync_folder(folder)?;
    let message = format!(
        "{} is damaged: whom you have met and trusted is not known any longer, so the next device of each user is taken for his without \
         a word; compare anew with /verify. The file is kept as {}",
        path.display(),
        aside.display()
    );
    let code = Code::TrustLost;
    Ok((People::new(me.clone()), Some(Notice { code, message })))
}

/// Whether what is in the file can be believed.
pub fn is_sound(bytes: &[u8]) -> bool {
    let nobody = UserName::new("nobody").map(|user| Identity {
        user,
        device: DeviceId([0; 32]),
    });
    nobody.is_ok_and(|nobody| read(bytes, &nobody).is_some())
}

/// None where anything in the file breaks a rule.
fn read(bytes: &[u8], me: &Identity) -> Option<People> {
    let kept: Kept = serde_json::from_slice(bytes)
        .ok()
        .filter(|_| bytes.len() <= BYTES_MAX)?;
    let people = kept.people.into_iter().map(|person| {
        let devices: Option<Vec<Device>> = person.devices.iter().map(read_device).collect();
        let person_of = Person::remembered(devices?, person.trusted_at.map(WallTime))?;
        Some((UserName::new(&person.user).ok()?, person_of))
    });
    People::remembered(me.clone(), people.collect::<Option<_>>()?)
}

fn read_device(kept: &KeptDevice) -> Option<Device> {
    Some(Device {
        id: DeviceId::from_hex(&kept.device)?,
        first_met: WallTime(kept.first_met),
        last_met: WallTime(kept.last_met),
        trusted: kept.trusted,
    })
}

/// What the file is to have.
pub fn bytes(people: &People) -> Vec<u8> {
    let kept_device = |device: &Device| KeptDevice {
        device: device.id.to_string(),
        first_met: device.first_met.0,
        last_met: device.last_met.0,
        trusted: device.trusted,
    };
    let kept_person = |(user, person): (&UserName, &Person)| KeptPerson {
        user: user.shown().to_owned(),
        trusted_at: person.trusted_at().map(|at| at.0),
        devices: person.devices().iter().map(kept_device).collect(),
    };
    let kept = Kept {
        people: people.all().into_iter().map(kept_person).collect(),
    };
    serde_json::to_vec(&kept).expect("strings and numbers can be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::MemoryDisk,
        node::{
            limits::{DEVICES_OF_USER_MAX, PEOPLE_MAX},
            people::{Met, Trust},
        },
    };

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn me() -> Identity {
        Identity {
            user: user("me"),
            device: DeviceId([0xaa; 32]),
        }
    }

    fn device(number: u64) -> DeviceId {
        let mut id = [7; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        DeviceId(id)
    }

    fn save(people: &People, disk: &MemoryDisk, folder: &Path) -> Result<(), IoError> {
        disk.replace(&folder.join(FILE), &bytes(people))
    }

    fn remembered(people: &People, disk: &MemoryDisk) -> People {
        save(people, disk, Path::new("/")).unwrap();
        let (people, lost) = load(disk, Path::new("/"), &me()).unwrap();
        assert_eq!(lost, None);
        people
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let disk = MemoryDisk::new(1);
        let mut people = remembered(&People::new(me()), &disk);
        for (name, number) in [("Bob", 1), ("小明", 2), ("bob", 3), ("me", 4)] {
            people.meet(&user(name), device(number), WallTime(1_000 + number as i64));
        }
        let mut again = remembered(&people, &disk);
        let parts = |people: &People| -> Vec<_> {
            let all = people.all().into_iter();
            all.map(|(user, person)| (user.shown().to_owned(), person.devices().to_vec()))
                .collect()
        };
        assert_eq!(parts(&again), parts(&people));
        assert_eq!(again.devices_of(&user("me")), [device(4), me().device].into());
        assert_eq!(again.trust(&user("bob")), Trust::None);
        assert_eq!(again.meet(&user("BOB"), device(1), WallTime(0)), Met::Again);
        let (known, trusted) = (2, false);
        assert_eq!(
            again.meet(&user("bob"), device(9), WallTime(0)),
            Met::New { known, trusted }
        );
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_said_to_be_so() {
        let disk = MemoryDisk::new(1);
        let path = Path::new("/people.json");
        let mut people = People::new(me());
        people.meet(&user("bob"), device(1), WallTime(0));
        let sound = |disk: &MemoryDisk| {
            save(&people, disk, Path::new("/")).unwrap();
            String::from_utf8(disk.read_small(path, BYTES_MAX).unwrap().unwrap()).unwrap()
        };
        let whole = sound(&disk);
        let hex = device(1).to_string();
        let person = whole
            .trim_start_matches("{\"people\":[")
            .trim_end_matches("]}")
            .to_owned();
        for damaged in [
            String::new(),
            whole[..whole.len() / 2].to_owned(),
            whole.replace(&hex, &hex[2..]),
            whole.replace(&hex[..2], "+1"),
            whole.replace("bob", "b/b"),
            format!("{{\"people\":[{person},{person}]}}"),
            whole.replace(
                "\"devices\":[",
                &format!(
                    "\"devices\":[{},",
                    &person[person.find("[").unwrap() + 1..person.len() - 2]
                ),
            ),
        ] {
            sound(&disk);
            disk.replace(path, damaged.as_bytes()).unwrap();
            let (found, lost) = load(&disk, Path::new("/"), &me()).unwrap();
            assert!(found.all().is_empty(), "{damaged}");
            let lost = lost.unwrap_or_else(|| panic!("{damaged}"));
            assert_eq!(lost.code, Code::TrustLost);
            let kept = disk.read_small(Path::new("/people.json.damaged"), BYTES_MAX).unwrap();
            assert_eq!(kept, Some(damaged.into_bytes()));
            assert_eq!(load(&disk, Path::new("/"), &me()).unwrap().1, None, "it is said once");
        }
    }

    #[test]
    fn as_many_as_may_be_fit_into_the_file() {
        let disk = MemoryDisk::new(1);
        // The longest in bytes, and the first one has all the devices: the file of all that many would take this test a minute.
        let name = |number: usize| user(&format!("{}{number:04}", "\u{10000}".repeat(60)));
        let mut people = People::new(me());
        let size = |people: &People| {
            save(people, &disk, Path::new("/")).unwrap();
            disk.read_small(Path::new("/people.json"), BYTES_MAX)
                .unwrap()
                .unwrap()
                .len()
        };
        let empty = size(&people);
        for number in 0..DEVICES_OF_USER_MAX as u64 {
            people.meet(&name(0), device(number), WallTime(i64::MIN));
        }
        assert!((size(&people) - empty) * PEOPLE_MAX < BYTES_MAX);
    }
}
