//! The user's account at the registry: its devices and its password.

use peerchat_proto::v1::{self as wire, account_service_client::AccountServiceClient};
use tonic::{Status, transport::Channel};

use crate::{
    driver::request::AccountAsk,
    net::convert,
    node::{
        account::{AccountNews, OwnDevice},
        types::{DeviceId, EntryError, WallTime},
    },
};

/// The fewest characters of a device's id that name it.
const ID_CHARS_MIN: usize = 4;

/// Asks something about the account of the lease.
pub(super) async fn ask(
    client: &mut AccountServiceClient<Channel>,
    lease: &[u8],
    ask: &AccountAsk,
) -> Result<AccountNews, Status> {
    match ask {
        AccountAsk::Devices => {
            let (devices, has_password) = devices(client, lease).await?;
            Ok(AccountNews::Devices { devices, has_password })
        }
        AccountAsk::Approve(code) => {
            let (lease, code) = (lease.to_vec().into(), code.clone());
            let approved = client
                .approve_device(wire::ApproveDeviceRequest { lease, code })
                .await?
                .into_inner();
            Ok(AccountNews::Approved {
                device: device_id(&approved.device)?,
                label: approved.label,
            })
        }
        AccountAsk::Revoke(id) => {
            let device = named(devices(client, lease).await?.0, id)?;
            let request = wire::RevokeDeviceRequest {
                lease: lease.to_vec().into(),
                device: device.0.to_vec().into(),
            };
            client.revoke_device(request).await?;
            Ok(AccountNews::Revoked(device))
        }
        AccountAsk::SetPassword(password) => {
            let request = wire::SetPasswordRequest {
                lease: lease.to_vec().into(),
                password: password.reveal().to_owned(),
            };
            client.set_password(request).await?;
            Ok(AccountNews::PasswordSet)
        }
    }
}

async fn devices(client: &mut AccountServiceClient<Channel>, lease: &[u8]) -> Result<(Vec<OwnDevice>, bool), Status> {
    let lease = lease.to_vec().into();
    let answer = client
        .list_devices(wire::ListDevicesRequest { lease })
        .await?
        .into_inner();
    let device = |device: wire::Device| {
        Ok::<_, Status>(OwnDevice {
            device: device_id(&device.device)?,
            label: device.label,
            added: WallTime(device.added_at_ms),
            seen: WallTime(device.seen_at_ms),
            online: device.is_online,
            here: device.is_caller,
        })
    };
    let devices = answer.devices.into_iter().map(device).collect::<Result<_, _>>()?;
    Ok((devices, answer.has_password))
}

/// The one device whose id begins with what was typed.
fn named(devices: Vec<OwnDevice>, typed: &str) -> Result<DeviceId, Status> {
    let typed = typed.trim_end_matches('…').to_ascii_lowercase();
    if typed.len() < ID_CHARS_MIN {
        let text = format!("give at least {ID_CHARS_MIN} characters of the device's id; /devices lists them");
        return Err(Status::invalid_argument(text));
    }
    let mut found = devices
        .iter()
        .filter(|device| device.device.to_string().starts_with(&typed));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.device),
        (None, _) => Err(Status::not_found(format!(
            "you have no device {typed}; /devices lists them"
        ))),
        (Some(_), Some(_)) => Err(Status::invalid_argument(format!(
            "more than one of your devices begins with {typed}; give more of the id"
        ))),
    }
}

fn device_id(bytes: &[u8]) -> Result<DeviceId, Status> {
    let error = |error: EntryError| Status::internal(format!("the registry's answer breaks the protocol: {error}"));
    convert::device_from_wire("device", bytes).map_err(error)
}
