//! Looking at registries without logging in.

use peerchat_identity::{Fingerprint, connect::registry_fingerprint};
use tokio::task::JoinSet;

use super::{
    LoginError, RegistryConfig,
    login::dial,
    recognise::{common, list_authority},
};
use crate::net::{Net, host};

/// Connects to a registry, which is enough to know that it is there and which one it is. Nothing is said to it.
///
/// # Errors
/// It does not answer.
pub(super) async fn look(net: &Net, address: &str) -> Result<Option<Fingerprint>, LoginError> {
    let stream = dial(net, address).await.map_err(|reason| LoginError::Unavailable {
        address: address.to_owned(),
        reason,
    })?;
    Ok(registry_fingerprint(&stream))
}

/// Settles which authority is that of a list of which no registry was met before: what most of those show that answer. It is believed
/// where one of this machine shows it, as at any first meeting, and else the user is asked.
///
/// # Errors
/// He must be asked first.
pub(super) async fn meet(net: &Net, config: &RegistryConfig) -> Result<(), LoginError> {
    if config.addresses.len() == 1 || list_authority(config)?.is_some() {
        return Ok(());
    }
    let mut looks = JoinSet::new();
    for (place, address) in config.addresses.iter().cloned().enumerate() {
        let net = net.clone();
        looks.spawn(async move { (place, look(&net, &address).await) });
    }
    let mut shown: Vec<(usize, Fingerprint)> = Vec::new();
    while let Some(looked) = looks.join_next().await {
        if let Ok((place, Ok(Some(found)))) = looked {
            shown.push((place, found));
        }
    }
    shown.sort_by_key(|(place, _)| *place);
    // Where none answers, logging in says so.
    let Some(found) = common(shown.iter().map(|(_, found)| *found)) else {
        return Ok(());
    };
    let those = shown.iter().filter(|(_, shown)| *shown == found);
    let mut those = those.map(|(place, _)| config.addresses[*place].as_str());
    if those.clone().any(|address| host::loopback(address).is_some()) {
        // Whoever was first has found the same.
        config.surveyed.get_or_init(|| found);
        return Ok(());
    }
    Err(LoginError::Unknown {
        address: those.next().unwrap_or_default().to_owned(),
        found,
    })
}
