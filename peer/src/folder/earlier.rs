//! Where the logs are that a user has taken along from other authorities.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::places;
use crate::{
    log::{self, IoError, RealDisk, Shelved},
    node::types::{Conversation, UserName},
};

/// The folders with earlier logs of each conversation that is kept in `place`, the oldest first. An authority of which nothing is here is passed
/// over.
///
/// # Errors
/// The disk refuses.
pub fn all(user: &Path, place: &Path, name: &UserName) -> Result<BTreeMap<Conversation, Vec<PathBuf>>, IoError> {
    let mut found = BTreeMap::new();
    for shelved in log::shelved(&RealDisk, place, name)? {
        let folders = of(user, &shelved, name)?;
        if !folders.is_empty() {
            found.insert(shelved.conversation, folders);
        }
    }
    Ok(found)
}

/// Those of one conversation.
///
/// # Errors
/// The disk refuses.
pub fn of(user: &Path, shelved: &Shelved, name: &UserName) -> Result<Vec<PathBuf>, IoError> {
    let mut folders = Vec::new();
    for authority in log::read_earlier(&RealDisk, &shelved.folder)? {
        let place = places::find(user, authority)?;
        folders.extend(place.map(|place| place.join(log::folder_of(&shelved.conversation, name))));
    }
    Ok(folders)
}
