//! The operator's calls to a registry that runs: he shows that he holds its authority, and has it store an invite, or accounts that another registry had.

use std::{io, time::Duration};

use peerchat_identity::{connect, tls};
use peerchat_proto::v1::{self, cluster_service_client::ClusterServiceClient, skipped_device as skipped};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::change::{from_device, to_device, to_import};
use crate::{
    accounts::{
        importing::{AccountPart, Fate, Imported, PART_DEVICES_MAX, Skipped, SkippedDevice},
        invite::InviteHash,
    },
    authority::{Authority, AuthorityError},
};

/// Why a registry does not do what its operator wants.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The authority cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// There is no connection.
    #[error("cannot reach {address} as a registry of this authority: {source}")]
    Io {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It refuses.
    #[error("{address} does not store it: {}", source.message())]
    Refused {
        /// Where.
        address: String,
        /// Why.
        source: Box<Status>,
    },
    /// Its answer makes no sense.
    #[error("{0} answers what cannot be read; is it of another version?")]
    Malformed(String),
}

impl OperatorError {
    /// Whether another registry might do it, or the same one later. One that may have done it is not sure to have: whatever is wanted of it does no harm
    /// twice.
    pub fn is_worth_another(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            // The last two are a connection that broke.
            Self::Refused { source, .. } => {
                matches!(source.code(), Code::Unavailable | Code::Cancelled | Code::Unknown)
            }
            Self::Authority(_) | Self::Tls(_) | Self::Malformed(_) => false,
        }
    }
}

/// A connection to a registry of an authority, over which its operator calls. The caller sets the deadlines.
#[derive(Debug)]
pub struct Operator {
    client: ClusterServiceClient<Channel>,
    address: String,
}

impl Operator {
    /// Connects to the registry at HOST:PORT, which proves to be of this authority, as whoever holds that.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn connect(authority: &Authority, address: &str) -> Result<Self, OperatorError> {
        let failed = |source| OperatorError::Io {
            address: address.to_owned(),
            source,
        };
        let (certificate, key) = authority.operator_identity()?;
        let tls = tls::node_client(certificate, key, authority.trust())?;
        let stream = connect::connect(address, tls::registry_name(), tls)
            .await
            .map_err(failed)?;
        let channel = connect::grpc(stream, Endpoint::from_static("https://registry")).await;
        let channel = channel.map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self {
            client: ClusterServiceClient::new(channel),
            address: address.to_owned(),
        })
    }

    /// Has it store what is to be stored of an invite, which can be used for `lifetime`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn add_invite(&mut self, invite: InviteHash, lifetime: Duration) -> Result<(), OperatorError> {
        let request = v1::AddInviteRequest {
            hash: invite.0.to_vec().into(),
            lifetime_s: lifetime.as_secs(),
        };
        let added = self.client.add_invite(request).await;
        added.map(drop).map_err(|status| self.refused(status))
    }

    /// Has it take in a part of an account, and answers what became of that.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn import(&mut self, part: &AccountPart) -> Result<Imported, OperatorError> {
        let request = v1::ImportAccountRequest {
            user: part.name.shown().to_owned(),
            account: Some(to_import(part)),
        };
        let answer = self.client.import_account(request).await;
        let answer = answer.map_err(|status| self.refused(status))?.into_inner();
        from_imported(answer).ok_or_else(|| OperatorError::Malformed(self.address.clone()))
    }

    fn refused(&self, source: Status) -> OperatorError {
        OperatorError::Refused {
            address: self.address.clone(),
            source: Box::new(source),
        }
    }
}

/// What became of a part, as it is answered.
pub(super) fn to_imported(imported: Imported) -> v1::ImportAccountResponse {
    let skipped = |skipped: SkippedDevice| v1::SkippedDevice {
        device: to_device(skipped.device),
        why: Some(match skipped.why {
            Skipped::OfAnother(user) => skipped::Why::OfAnother(user),
            Skipped::InUse => skipped::Why::InUse(v1::SkippedInUse {}),
            Skipped::NoRoom => skipped::Why::NoRoom(v1::SkippedNoRoom {}),
        }),
    };
    let fate = match imported.account {
        Fate::Made => v1::ImportFate::Made,
        Fate::Known => v1::ImportFate::Known,
        Fate::NameTaken => v1::ImportFate::NameTaken,
        Fate::LeftOut => v1::ImportFate::LeftOut,
    };
    v1::ImportAccountResponse {
        fate: fate.into(),
        devices_added: u32::try_from(imported.added).unwrap_or(u32::MAX),
        skipped: imported.skipped.into_iter().map(skipped).collect(),
    }
}

fn from_imported(answer: v1::ImportAccountResponse) -> Option<Imported> {
    let account = match answer.fate() {
        v1::ImportFate::Made => Fate::Made,
        v1::ImportFate::Known => Fate::Known,
        v1::ImportFate::NameTaken => Fate::NameTaken,
        v1::ImportFate::LeftOut => Fate::LeftOut,
        v1::ImportFate::Unspecified => return None,
    };
    if answer.skipped.len() > PART_DEVICES_MAX {
        return None;
    }
    let skipped = answer.skipped.into_iter().map(|skipped| {
        Some(SkippedDevice {
            device: from_device(&skipped.device)?,
            why: match skipped.why? {
                skipped::Why::OfAnother(user) => Skipped::OfAnother(user),
                skipped::Why::InUse(_) => Skipped::InUse,
                skipped::Why::NoRoom(_) => Skipped::NoRoom,
            },
        })
    });
    Some(Imported {
        account,
        added: usize::try_from(answer.devices_added).ok()?,
        skipped: skipped.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::DeviceId;

    #[test]
    fn what_became_of_a_part_is_read_as_it_was_written() {
        let whys = [Skipped::OfAnother("bob".to_owned()), Skipped::InUse, Skipped::NoRoom];
        let skipped = whys.into_iter().zip(1..).map(|(why, n)| SkippedDevice {
            device: DeviceId([n; 32]),
            why,
        });
        let skipped: Vec<_> = skipped.collect();
        for account in [Fate::Made, Fate::Known, Fate::NameTaken, Fate::LeftOut] {
            let imported = Imported {
                account,
                added: 7,
                skipped: skipped.clone(),
            };
            assert_eq!(from_imported(to_imported(imported.clone())), Some(imported));
        }
        assert_eq!(from_imported(v1::ImportAccountResponse::default()), None);
    }
}
