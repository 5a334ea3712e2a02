//! Files of a user's folder that are not what they should be, among those that say who the device is.

use std::path::Path;

use peerchat_identity::{
    DeviceCertificate, DeviceKey, Trust,
    secret_file::{self, SecretFileError},
};

use super::{AUTHORITY_CERTIFICATE, CERTIFICATE, KEY};
use crate::node::types::UserName;

/// What of a user's key, and of the certificate and the authority in `place`, is damaged or does not fit the others: each file with what is wrong.
/// That a certificate has ended is nothing wrong, nor is a file that is not there or that others can read.
pub fn faults(folder: &Path, place: &Path, user: &UserName) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let mut read = |folder: &Path, name| match secret_file::read(&folder.join(name)) {
        Err(error @ SecretFileError::TooLong { .. }) => {
            faults.push((name, format!("it is damaged ({error})")));
            None
        }
        read => read.ok().flatten(),
    };
    let authority = read(place, AUTHORITY_CERTIFICATE).map(|der| Trust::new(der.to_vec().into()));
    let certificate = read(place, CERTIFICATE);
    let key = read(folder, KEY).map(|pkcs8| DeviceKey::from_pkcs8(&pkcs8));
    if let Some(Err(error)) = &key {
        faults.push((KEY, format!("it is damaged ({error})")));
    }
    // The key is of all places, and is told with the first.
    faults.retain(|(name, _)| *name != KEY || folder == place);
    if let Some(Err(error)) = &authority {
        faults.push((AUTHORITY_CERTIFICATE, format!("it is damaged ({error})")));
    }
    let Some(certificate) = certificate else {
        return faults;
    };
    let what = match DeviceCertificate::parse(&certificate.to_vec().into()) {
        Err(error) => format!("it is damaged ({error})"),
        Ok(found) if found.user != *user => format!("it is {}'s, not {user}'s", found.user),
        Ok(found) if matches!(&key, Some(Ok(key)) if key.public() != found.device) => {
            format!("it is of another device than {KEY}")
        }
        Ok(_) if matches!(key, Some(Err(_))) || !folder.join(KEY).exists() => "its key is not there".to_owned(),
        Ok(_) => match authority {
            Some(Ok(authority)) if authority.introduced(&certificate.to_vec().into()).is_err() => {
                format!("another authority than the one in {AUTHORITY_CERTIFICATE} has issued it")
            }
            _ => return faults,
        },
    };
    faults.push((CERTIFICATE, what));
    faults
}
