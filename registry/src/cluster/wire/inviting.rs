//! The operator's call to a cluster: he shows that he holds its authority, and has it store an invite.

use std::{io, time::Duration};

use peerchat_identity::{connect, tls};
use peerchat_proto::v1::{self, cluster_service_client::ClusterServiceClient};
use tonic::{Code, Status, transport::Endpoint};

use crate::{
    accounts::invite::InviteHash,
    authority::{Authority, AuthorityError},
};

/// Why a registry does not store an invite.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
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
    #[error("{address} does not store the invite: {}", source.message())]
    Refused {
        /// Where.
        address: String,
        /// Why.
        source: Box<Status>,
    },
}

impl InviteError {
    /// Whether another registry might store it. One that may have stored it is not sure to have done so, and an invite that nobody
    /// knows does no harm.
    pub fn is_worth_another(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Refused { source, .. } => source.code() == Code::Unavailable,
            Self::Authority(_) | Self::Tls(_) => false,
        }
    }
}

/// Has a registry of this authority store what is to be stored of an invite, which can be used for `lifetime`. The caller sets the deadline.
///
/// # Errors
/// [`InviteError`].
pub async fn add_invite(
    authority: &Authority,
    address: &str,
    invite: InviteHash,
    lifetime: Duration,
) -> Result<(), InviteError> {
    let failed = |source| InviteError::Io {
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
    let request = v1::AddInviteRequest {
        hash: invite.0.to_vec().into(),
        lifetime_s: lifetime.as_secs(),
    };
    let added = ClusterServiceClient::new(channel).add_invite(request).await;
    added.map(drop).map_err(|source| InviteError::Refused {
        address: address.to_owned(),
        source: Box::new(source),
    })
}
