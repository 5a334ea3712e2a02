//! Introductions while the registry certifies nobody: what a device says of itself. They prove nothing, as the hello of a link does
//! not, and keep the place of a certificate.

use bytes::Bytes;

use crate::node::types::{DeviceId, UserName};

const START: &[u8] = b"peerchat says, and nobody has certified:\n";

/// What stands in for a device's certificate.
pub fn certificate(device: &DeviceId, user: &UserName) -> Bytes {
    [START, &device.0, user.shown().as_bytes()].concat().into()
}

/// What it says.
///
/// # Errors
/// It is none.
pub fn introduced(certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
    let content = certificate.strip_prefix(START).ok_or("it is no introduction")?;
    let (device, user) = content.split_first_chunk::<32>().ok_or("it names no device")?;
    let user = std::str::from_utf8(user).map_err(|error| error.to_string())?;
    let user = UserName::new(user).map_err(|error| error.to_string())?;
    Ok((DeviceId(*device), user))
}
