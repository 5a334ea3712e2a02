//! The invitations to private rooms on disk, each in its room's folder: whoever reads one can enter the room.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::core::Core;
use crate::{
    log::{self, Disk, IoError},
    node::{
        event::{Code, Notice},
        private::Invitation,
        types::{Conversation, RoomName},
    },
};

/// The file with the invitation, as `/invite` prints it.
const FILE: &str = "invitation";

/// A name of 64 characters with a secret is far shorter.
const BYTES_MAX: usize = 1024;

impl<D: Disk> Core<D> {
    /// Gives the node the invitation to a room, if there is one. Returns what the user must know where it cannot be used.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn load_invitation(&mut self, conversation: &Conversation) -> Result<Option<Notice>, IoError> {
        let Conversation::Room(room) = conversation else {
            return Ok(None);
        };
        if room.id().is_none() {
            return Ok(None);
        }
        let (disk, folder, user) = self.place();
        let path = folder.join(log::folder_of(conversation, user)).join(FILE);
        let Some(bytes) = disk.read_small(&path, BYTES_MAX)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        if disk.is_exposed(&path)? {
            let path = path.display();
            return Ok(Some(refused(
                room,
                &format!("others can read {path}: run chmod 600 on it"),
            )));
        }
        let text = std::str::from_utf8(&bytes).ok();
        let invitation = text.and_then(|text| Invitation::read(text.trim_end()).ok());
        match invitation.filter(|invitation| invitation.room() == *room) {
            Some(invitation) => {
                self.node_mut().load_invitation(invitation);
                Ok(None)
            }
            None => {
                let path = path.display();
                Ok(Some(refused(
                    room,
                    &format!("{path} is damaged: join it with a new invitation"),
                )))
            }
        }
    }

    /// Where the invitation to a room is kept for the next start, in its room's folder, which is there then, and what is to be written.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn place_of_invitation(&self, invitation: &Invitation) -> Result<(PathBuf, Zeroizing<Vec<u8>>), IoError> {
        let (disk, folder, user) = self.place();
        let folder = log::prepare(disk, folder, user, &Conversation::Room(invitation.room()))?;
        let text = Zeroizing::new(format!("{}\n", *invitation.text()));
        Ok((folder.join(FILE), Zeroizing::new(text.as_bytes().to_vec())))
    }
}

fn refused(room: &RoomName, why: &str) -> Notice {
    Notice {
        code: Code::Refused,
        message: format!("#{} cannot be entered: {why}", room.label()),
    }
}
