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
    let shown = shown
        .iter()
        .map(|(place, found)| (config.addresses[*place].as_str(), *found));
    if let Some(found) = believed(&shown.collect::<Vec<_>>())? {
        // Whoever was first has found the same.
        config.surveyed.get_or_init(|| found);
    }
    Ok(())
}

/// Which authority is believed, where these registries have shown these; none where none has answered, and then logging in says so.
fn believed(shown: &[(&str, Fingerprint)]) -> Result<Option<Fingerprint>, LoginError> {
    let Some(found) = common(shown.iter().map(|(_, found)| *found)) else {
        return Ok(None);
    };
    let mut those = shown
        .iter()
        .filter(|(_, shown)| *shown == found)
        .map(|(address, _)| *address);
    if those.clone().any(|address| host::loopback(address).is_some()) {
        return Ok(Some(found));
    }
    Err(LoginError::Unknown {
        address: those.next().unwrap_or_default().to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_show_is_asked_about_unless_one_of_this_machine_shows_it() {
        let [a, b]: [Fingerprint; 2] =
            ["A", "B"].map(|letter| format!("SHA256:{}A", letter.repeat(42)).parse().unwrap());
        assert_eq!(believed(&[]).unwrap(), None);
        let asked = believed(&[("odd.example:1", b), ("one.example:1", a), ("two.example:1", a)]).unwrap_err();
        assert!(
            matches!(&asked, LoginError::Unknown { address, found } if address == "one.example:1" && *found == a),
            "{asked}"
        );
        assert_eq!(believed(&[("one.example:1", a), ("127.0.0.1:1", a)]).unwrap(), Some(a));
        // One of this machine that is the odd one vouches for nobody.
        let shown = [("127.0.0.1:1", b), ("one.example:1", a), ("two.example:1", a)];
        assert!(matches!(believed(&shown), Err(LoginError::Unknown { .. })));
    }
}
