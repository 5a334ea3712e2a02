//! `peerchat-registry import`: the accounts of a registry that has ended, for a cluster that runs or for a database that registries share.

mod target;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub(super) use self::target::Target;
use super::{CommandError, check_begun};
use crate::{
    accounts::{
        WallTime,
        importing::{AccountPart, Fate, Imported, first_part, next_part},
        store::{Device, FILE, Place, Store, StoredAccount, Whole, WholeInvite},
    },
    config::IN_DATA,
};

/// After how many accounts it is told how far it is.
const TOLD_EVERY: usize = 100;

/// What has become of all of them.
#[derive(Debug, Default)]
struct Count {
    made: usize,
    known: usize,
    devices: usize,
    invites: usize,
    accounts_skipped: usize,
    devices_skipped: usize,
}

/// Brings all accounts and open invites of the registry that had this folder. What cannot be taken is told on stderr, by name, and is an error in the end; all
/// else is there then.
pub(super) async fn run(from: &Path, mut target: Target, now: WallTime) -> Result<String, CommandError> {
    let whole = read(from).await?;
    let is_open = |invite: &&WholeInvite| invite.used.is_none() && invite.stored.expires > now;
    let invites: Vec<_> = whole.invites.iter().filter(is_open).collect();
    let (accounts, devices) = (whole.accounts.len(), whole.devices.len());
    tell(&format!(
        "{} has {}, {} and {}",
        from.display(),
        counted(accounts, "account"),
        counted(devices, "device"),
        counted(invites.len(), "open invite")
    ));
    let mut of_account: BTreeMap<String, Vec<Device>> = BTreeMap::new();
    for stored in whole.devices {
        of_account.entry(stored.account).or_default().push(stored.device);
    }
    let mut count = Count::default();
    for (account, number) in whole.accounts.iter().zip(1..) {
        let devices = of_account.remove(account.name.key()).unwrap_or_default();
        let brought = bring(&mut target, &mut count, account, devices, now).await;
        brought.inspect_err(|_| stopped(number, accounts))?;
        if number % TOLD_EVERY == 0 && number < accounts {
            tell(&format!("{number} of {accounts} accounts"));
        }
    }
    for invite in invites {
        let added = target.add_invite(&invite.stored, now).await;
        added.inspect_err(|_| stopped(accounts, accounts))?;
        count.invites += 1;
    }
    target.close().await;
    count.summary()
}

/// All that the registry has stored which had this folder.
async fn read(from: &Path) -> Result<Whole, CommandError> {
    let folder = folder(from).ok_or_else(|| CommandError::NoAccounts(from.to_owned()))?;
    let store = Store::open(&Place::Folder(folder.clone())).await?;
    check_begun(&folder, &store).await?;
    let whole = store.whole().await;
    store.close().await;
    Ok(whole?.1)
}

/// Where the accounts are: in the folder that was named with `--data` there is one for all that a registry keeps.
fn folder(from: &Path) -> Option<PathBuf> {
    let mut folders = [from.to_owned(), from.join(IN_DATA)].into_iter();
    folders.find(|folder| folder.join(FILE).is_file())
}

/// Brings an account with all of its devices.
async fn bring(
    target: &mut Target,
    count: &mut Count,
    account: &StoredAccount,
    devices: Vec<Device>,
    now: WallTime,
) -> Result<(), CommandError> {
    let (first, mut rest) = first_part(account, devices);
    let became = target.import(&first, now).await?;
    count.account(&first, &became);
    count.devices(&first, &became);
    let mut left_out = 0;
    while let Some(part) = next_part(&first, &became, &mut rest) {
        let became = target.import(&part, now).await?;
        count.devices(&part, &became);
        if !became.is_taken() {
            // Its first device came with the part before.
            left_out += part.devices.len() - 1;
        }
    }
    if became.is_taken() {
        left_out += rest.len();
    }
    if left_out > 0 {
        let devices = counted(left_out, "more device");
        tell(&format!("{}: {devices} were not taken", account.name.shown()));
        count.devices_skipped += left_out;
    }
    Ok(())
}

impl Count {
    /// Counts an account by what became of its first part, and tells of one that was not taken.
    fn account(&mut self, part: &AccountPart, became: &Imported) {
        let name = part.name.shown();
        match became.account {
            Fate::Made => self.made += 1,
            Fate::Known => self.known += 1,
            Fate::NameTaken => {
                self.accounts_skipped += 1;
                tell(&format!("{name}: not taken, since the name is somebody else's there"));
            }
            Fate::LeftOut => {
                self.accounts_skipped += 1;
                tell(&format!(
                    "{name}: not taken, since it has no password, and all of its devices are other users' there"
                ));
            }
        }
    }

    /// Counts the devices of a part, and tells of those that were not taken.
    fn devices(&mut self, part: &AccountPart, became: &Imported) {
        self.devices += became.added;
        for skipped in &became.skipped {
            let of = part.devices.iter().find(|device| device.device == skipped.device);
            let label = of.map_or("", |device| device.label.as_str());
            let (name, device, why) = (part.name.shown(), skipped.device, &skipped.why);
            tell(&format!("{name}: device {device} \"{label}\" was not taken: {why}"));
            self.devices_skipped += 1;
        }
    }

    fn summary(&self) -> Result<String, CommandError> {
        let summary = format!(
            "imported {} with {}, and {}; {} there already",
            counted(self.made, "account"),
            counted(self.devices, "device"),
            counted(self.invites, "invite"),
            match self.known {
                1 => "1 account was".to_owned(),
                known => format!("{known} accounts were"),
            }
        );
        if self.accounts_skipped + self.devices_skipped == 0 {
            return Ok(summary);
        }
        Err(CommandError::Skipped {
            summary,
            accounts: counted(self.accounts_skipped, "account"),
            devices: counted(self.devices_skipped, "device"),
        })
    }
}

fn stopped(number: usize, accounts: usize) {
    tell(&format!(
        "stopped at account {number} of {accounts}; what is there stays, and the same command brings the rest"
    ));
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// For whoever watches. Where nobody does, all goes on.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
