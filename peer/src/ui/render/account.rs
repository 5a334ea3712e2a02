//! What there is to tell of the user's account.

use chrono::TimeZone;

use super::{Renderer, table::table};
use crate::{node::account::AccountNews, ui::safe::visible_line};

/// How much of a device's id is shown.
const ID_CHARS: usize = 12;

impl<Z: TimeZone> Renderer<Z> {
    /// News of the account.
    pub fn account(&self, news: &AccountNews) -> String {
        match news {
            AccountNews::Devices { devices, has_password } => {
                let rows = devices.iter().map(|device| {
                    let id: String = device.device.to_string().chars().take(ID_CHARS).collect();
                    let standing = match (device.here, device.online) {
                        (true, _) => "this one".to_owned(),
                        (false, true) => "online".to_owned(),
                        (false, false) => format!("seen {}", self.day(device.seen)),
                    };
                    let label = visible_line(&device.label);
                    let label = format!("{label}  added {}", self.day(device.added));
                    [(id, None), (standing, None), (label.trim_start().to_owned(), None)]
                });
                let password = match has_password {
                    true => "  a further device gets in with your password, or with /approve",
                    false => "  a further device gets in with /approve; /passwd sets a password that does as well",
                };
                self.rule("your devices") + &table(rows) + &self.quiet(&[password])
            }
            AccountNews::Approved { device, label } => {
                let id: String = device.to_string().chars().take(ID_CHARS).collect();
                let label = visible_line(label);
                self.quiet(&[&format!("✓ device {id} ({label}) is yours from now on")])
            }
            AccountNews::Revoked(device) => {
                let id: String = device.to_string().chars().take(ID_CHARS).collect();
                self.quiet(&[&format!("✓ device {id} is revoked: nobody believes it any more")])
            }
            AccountNews::PasswordSet => self.quiet(&["✓ the password is set"]),
            AccountNews::Code { code, valid_s } => self.quiet(&[
                &format!("on a device on which you are logged in, type: /approve {code}"),
                &format!("waiting for it, {} minutes at most …", valid_s.div_ceil(60)),
            ]),
        }
    }
}
