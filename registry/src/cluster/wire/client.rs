//! Calls to other nodes, and the question for a registry's status.

use std::{io, sync::Arc, time::Duration};

use peerchat_identity::{DeviceBytes, DeviceKey, Fingerprint, NoKey, connect, tls};
use peerchat_proto::v1::{self, cluster_service_client::ClusterServiceClient};
use rustls::{CertificateError, ClientConfig};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{
    TABLE_BYTES_MAX,
    decide::to_request,
    follow::{from_down, from_node, from_position, to_up},
};
use crate::{
    address::Address,
    cluster::{
        ClusterStatus, LedgerStatus, MemberStatus, NodeState,
        election::Message,
        link::Said,
        members::MEMBERS_MAX,
        table::message::{Down, Up},
        term::{NodeId, Term},
    },
};

/// How long a connection with its handshake may take.
const DIAL_TIMEOUT: Duration = Duration::from_millis(750);

/// The most characters of what a node says of how it stands.
const STANDING_CHARS_MAX: usize = 400;

/// Why a node cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum LinkError {
    #[error("no connection: {0}")]
    Io(io::Error),
    #[error("it does not answer in time")]
    Silent,
    #[error("its certificate is of another authority: all nodes need the same --ca")]
    OtherAuthority,
    #[error("another registry is there: its certificate is not that of this node")]
    OtherNode,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it refuses: {0}")]
    Refused(String),
}

impl LinkError {
    /// Whether it stays so until somebody mends it.
    pub(in crate::cluster) fn is_for_the_operator(&self) -> bool {
        matches!(self, Self::OtherAuthority | Self::OtherNode | Self::Refused(_))
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Self::OtherNode,
            Some(rustls::Error::InvalidCertificate(_)) => Self::OtherAuthority,
            _ => Self::Io(error),
        }
    }
}

/// A connection to a node, which has proved that it is that one.
#[derive(Debug)]
pub(in crate::cluster) struct NodeClient {
    client: ClusterServiceClient<Channel>,
    key: Option<DeviceBytes>,
}

impl NodeClient {
    pub(in crate::cluster) async fn connect(
        address: &str,
        id: NodeId,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, LinkError> {
        let dialled = timeout(DIAL_TIMEOUT, Self::dial(address, id, tls)).await;
        dialled.unwrap_or(Err(LinkError::Silent))
    }

    async fn dial(address: &str, id: NodeId, tls: Arc<ClientConfig>) -> Result<Self, LinkError> {
        let stream = connect::connect(address, tls::node_name(id.number()), tls).await?;
        let key = connect::shown_key(&stream);
        let channel = connect::grpc(stream, endpoint()).await;
        let channel = channel.map_err(|error| LinkError::Broken(error.to_string()))?;
        let client = ClusterServiceClient::new(channel).max_decoding_message_size(TABLE_BYTES_MAX);
        Ok(Self { client, key })
    }

    /// The key of the process at the other end.
    pub(in crate::cluster) fn key(&self) -> Option<DeviceBytes> {
        self.key
    }

    /// Follows the node: says what comes, and answers what the node says.
    pub(in crate::cluster) async fn follow(
        &mut self,
        ups: mpsc::Receiver<Up>,
    ) -> Result<impl Stream<Item = Result<Down, LinkError>> + Unpin + use<>, LinkError> {
        let said = ReceiverStream::new(ups).map(to_up);
        let downs = self.client.follow(said).await.map_err(link_error)?.into_inner();
        Ok(downs.map(|down| {
            let down = from_down(down.map_err(link_error)?);
            down.ok_or_else(|| LinkError::Broken("it says what makes no sense".to_owned()))
        }))
    }

    /// Says something to the node.
    pub(in crate::cluster) async fn call(&mut self, nodes: &[u32], said: Said) -> Result<(), LinkError> {
        let Self { client, .. } = self;
        let nodes = nodes.to_vec();
        let message = match said {
            Said::Election(message) => message,
            Said::Ledger(message) => {
                let called = client.decide(to_request(nodes, &message)).await;
                return called.map(drop).map_err(link_error);
            }
        };
        let called = match message {
            Message::Election { seen } => {
                let seen = seen.number();
                client.election(v1::ElectionRequest { nodes, seen }).await.map(drop)
            }
            Message::Answer { seen, leader } => {
                let request = v1::AnswerRequest {
                    nodes,
                    seen: seen.number(),
                    leader_term: leader.number(),
                };
                client.answer(request).await.map(drop)
            }
            Message::Coordinator { term } => {
                let term = term.number();
                client
                    .coordinator(v1::CoordinatorRequest { nodes, term })
                    .await
                    .map(drop)
            }
            Message::Heartbeat { term } => {
                let term = term.number();
                client.heartbeat(v1::HeartbeatRequest { nodes, term }).await.map(drop)
            }
            Message::Resign { term } => {
                let term = term.number();
                client.resign(v1::ResignRequest { nodes, term }).await.map(drop)
            }
        };
        called.map_err(link_error)
    }
}

fn link_error(status: Status) -> LinkError {
    match status.code() {
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::ResourceExhausted => LinkError::Refused(status.message().to_owned()),
        _ => LinkError::Broken(status.message().to_owned()),
    }
}

/// How often a node that is silent is asked for a sign of life, and how long that may take. Not every connection that is no more breaks: what
/// lies between may have forgotten it, and a follower would wait for orders for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

fn endpoint() -> Endpoint {
    Endpoint::from_static("https://node")
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// Why a registry does not say what it knows of its cluster.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no connection.
    #[error("cannot reach {address}: {source}")]
    Io {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It refuses, or breaks off.
    #[error("{address} does not tell its status: {}", source.message())]
    Status {
        /// Where.
        address: String,
        /// Why.
        source: Status,
    },
    /// Its answer makes no sense.
    #[error("{0} tells a status that cannot be read")]
    Malformed(String),
    /// There is no key for the connection.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// Asks a registry for the status of its cluster, none where it is in none, and for the fingerprint that it shows. Anybody may ask, and
/// who answers proves nothing but that fingerprint. The caller sets the deadline.
///
/// # Errors
/// [`AskError`].
pub async fn ask_status(address: &str) -> Result<(Fingerprint, Option<ClusterStatus>), AskError> {
    let refused = |source| AskError::Status {
        address: address.to_owned(),
        source,
    };
    let failed = |source| AskError::Io {
        address: address.to_owned(),
        source,
    };
    // A registry asks whoever calls for a key. This one is for this call alone.
    let tls = tls::registry_client(&DeviceKey::generate()?)?;
    let stream = connect::connect(address, tls::registry_name(), tls)
        .await
        .map_err(failed)?;
    let malformed = || AskError::Malformed(address.to_owned());
    let fingerprint = connect::registry_fingerprint(&stream).ok_or_else(malformed)?;
    let channel = connect::grpc(stream, endpoint()).await;
    let channel = channel.map_err(|error| failed(io::Error::other(error)))?;
    let mut client = ClusterServiceClient::new(channel);
    let answer = client
        .get_status(v1::GetStatusRequest {})
        .await
        .map_err(refused)?
        .into_inner();
    if answer.id == 0 {
        return Ok((fingerprint, None));
    }
    let status = status(answer).ok_or_else(malformed)?;
    Ok((fingerprint, Some(status)))
}

/// The status in an answer; none where it makes no sense.
fn status(answer: v1::GetStatusResponse) -> Option<ClusterStatus> {
    if answer.members.len() > MEMBERS_MAX {
        return None;
    }
    let members = answer.members.iter().map(|member| {
        Some(MemberStatus {
            id: from_node(member.id)?,
            address: Address::new(&member.address, None).ok()?,
            is_reachable: member.is_reachable,
        })
    });
    Some(ClusterStatus {
        id: from_node(answer.id)?,
        state: match answer.role() {
            v1::NodeRole::Follower => NodeState::Follower,
            v1::NodeRole::Election => NodeState::Election,
            v1::NodeRole::Leader => NodeState::Leader,
            v1::NodeRole::Unspecified => return None,
        },
        term: Some(Term::new(answer.term)?.number()).filter(|term| *term > 0),
        leader: from_node(answer.leader),
        table: from_position(answer.table).filter(|table| table.term > Term::NONE),
        ledger: answer.ledger.map(|ledger| LedgerStatus {
            committed: ledger.committed,
            applied: ledger.applied,
            is_taking_part: ledger.is_taking_part,
            standing: shown(&ledger.standing),
        }),
        members: members.collect::<Option<_>>()?,
    })
}

/// What another one says for people, as one line that a terminal can show.
fn shown(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(STANDING_CHARS_MAX).collect()
}
