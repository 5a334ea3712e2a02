//! Under which authority the logs are that are meant.

use std::path::{Path, PathBuf};

use super::InspectError;
use crate::{
    config::LogConfig,
    folder::{
        UserFolder,
        places::{self, Place},
    },
};

/// What the user has under each authority that is meant: the one that was named, or all of them.
pub(super) fn all(config: &LogConfig) -> Result<Vec<Place>, InspectError> {
    let user = existing(config)?;
    if places::is_old(&user)? {
        return Err(InspectError::NoAuthority { folder: user });
    }
    let mut places = places::all(&user)?;
    let Some(meant) = &config.authority else {
        return Ok(places);
    };
    let there: Vec<String> = places.iter().map(|place| place.authority.to_string()).collect();
    places.retain(|place| is_named(place, meant));
    match places.len() {
        1 => Ok(places),
        found => Err(InspectError::WhichAuthority {
            meant: meant.clone(),
            found,
            there,
        }),
    }
}

/// The one that was named, or under which the user was last; none where no registry ever let him in.
pub(crate) fn one(config: &LogConfig) -> Result<Option<Place>, InspectError> {
    let mut places = all(config)?;
    if config.authority.is_none() {
        let last = places::last(&UserFolder::path_of(&config.data, &config.user))?;
        places.retain(|place| Some(place.authority) == last);
    }
    Ok(places.pop())
}

/// An authority is named by its fingerprint or the beginning of it.
fn is_named(place: &Place, meant: &str) -> bool {
    let meant = meant.strip_prefix("SHA256:").unwrap_or(meant);
    let fingerprint = place.authority.to_string();
    !meant.is_empty()
        && fingerprint
            .strip_prefix("SHA256:")
            .is_some_and(|hash| hash.starts_with(meant))
}

/// The user's folder.
pub(crate) fn existing(config: &LogConfig) -> Result<PathBuf, InspectError> {
    let folder = UserFolder::path_of(&config.data, &config.user);
    if Path::is_dir(&folder) {
        return Ok(folder);
    }
    Err(InspectError::NoSuchUser {
        user: config.user.clone(),
        data: config.data.clone(),
    })
}
