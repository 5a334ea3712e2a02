//! Calls of other nodes. Who calls is said by his certificate, and whoever has none of a node is refused and told of in the log.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use peerchat_identity::accept::Caller;
use peerchat_proto::v1::{
    self,
    cluster_service_server::{self, ClusterService, ClusterServiceServer},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Extensions, Request, Response, Status, Streaming};

use super::{
    TABLE_BYTES_MAX,
    decide::from_said,
    follow::{from_up, to_down, to_position},
};

use crate::{
    cluster::{
        ClusterStatus, Node, NodeState,
        election::Message,
        node::Unheard,
        table::{
            ClusterTable,
            message::{Down, Hello, Up},
        },
        term::{NodeId, Term},
    },
    registry::Registry,
};

/// How long a follower may take to say who it is.
const HELLO_WAIT: Duration = Duration::from_secs(2);

/// How many messages to a follower are on their way to the wire.
const WRITING_MAX: usize = 16;

/// The calls of the cluster's service.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    pub(super) registry: Arc<Registry>,
}

impl Calls {
    /// The name of the service, as health checks use it.
    pub(crate) const NAME: &str = cluster_service_server::SERVICE_NAME;

    /// The service of this registry, ready for a server.
    pub(crate) fn service(registry: &Arc<Registry>) -> ClusterServiceServer<Self> {
        let registry = Arc::clone(registry);
        ClusterServiceServer::new(Self { registry }).max_decoding_message_size(TABLE_BYTES_MAX)
    }

    /// Takes in what the node that calls says.
    fn hear<T>(&self, request: &Request<T>, nodes: &[u32], message: Result<Message, Status>) -> Result<(), Status> {
        let (node, from) = self.caller(request.extensions(), nodes)?;
        node.hear(from, message?).map_err(|unheard| match unheard {
            Unheard::Full => Status::resource_exhausted("too many messages wait to be heard"),
            Unheard::Ended => Status::unavailable("this node is shutting down"),
        })
    }

    /// This node, and the one that calls it. Whoever else does is told of in the log.
    fn caller(&self, extensions: &Extensions, nodes: &[u32]) -> Result<(&Node, NodeId), Status> {
        let (node, number) = self.certified(extensions)?;
        Ok((node, self.listed(node, number, extensions, nodes)?))
    }

    /// Which of the others it is that calls. Whoever is none of them is told of in the log.
    fn listed(&self, node: &Node, number: u8, extensions: &Extensions, nodes: &[u32]) -> Result<NodeId, Status> {
        let judged = Self::judge(node, number, extensions, nodes);
        if let Err(status) = &judged
            && node.is_news(number, status.message())
        {
            self.tell(extensions, status);
        }
        judged
    }

    /// This node, and the number of the one that calls, which may be none of the list. Whoever is no node at all is told of in the log.
    fn certified(&self, extensions: &Extensions) -> Result<(&Node, u8), Status> {
        let certified = || {
            let node = self.registry.node.as_ref();
            let node = node.ok_or_else(|| Status::failed_precondition("this registry is not part of a cluster"))?;
            let shown = extensions
                .get::<Caller>()
                .and_then(|caller| caller.shown.as_deref())
                .ok_or_else(|| Status::unauthenticated("show a certificate of a node of this cluster"))?;
            let trust = self.registry.authority.trust();
            let number = trust.node(shown, SystemTime::now()).map_err(|error| {
                Status::permission_denied(format!(
                    "this is for the nodes of the cluster, and the caller's certificate is none of them: {error}"
                ))
            })?;
            // Strangers who fill all places take no leader from a cluster.
            if let Some(caller) = extensions.get::<Caller>() {
                caller.place.trust();
            }
            Ok((node, number))
        };
        certified().inspect_err(|status| self.tell(extensions, status))
    }

    fn tell(&self, extensions: &Extensions, status: &Status) {
        let caller = extensions.get::<Caller>();
        let from = caller.map_or_else(|| "somewhere".to_owned(), |caller| caller.address.to_string());
        let refused = format_args!("a call to the cluster from {from} was refused: {}", status.message());
        self.registry.refusals.tell(&refused);
    }

    fn judge(node: &Node, number: u8, extensions: &Extensions, nodes: &[u32]) -> Result<NodeId, Status> {
        let other = NodeId::new(number.into()).ok().filter(|id| *id != node.own());
        let own = node.members().numbers();
        if nodes != own {
            return Err(Status::failed_precondition(format!(
                "node {number} has the nodes {nodes:?} in its list, and node {} has {own:?}; give all the same --cluster",
                node.own()
            )));
        }
        let listed = other.and_then(|id| Some((id, node.members().address(id)?)));
        let (member, address) =
            listed.ok_or_else(|| Status::permission_denied(format!("node {number} is none of the others")))?;
        let key = extensions.get::<Caller>().and_then(|caller| caller.device);
        if key.is_some_and(|key| node.is_doubled(member, key)) {
            return Err(Status::failed_precondition(format!(
                "another process is node {number} already, at {address} as the list of node {} has it; give this one an id of its own, or \
                end one of the two",
                node.own()
            )));
        }
        Ok(member)
    }

    /// Serves a follower until its stream ends; the status says why it did.
    async fn serve_follower(
        &self,
        extensions: &Extensions,
        mut ups: Streaming<v1::FollowRequest>,
        out: mpsc::Sender<Down>,
    ) -> Result<(), Status> {
        // Nothing that a stranger says is read.
        let (node, number) = self.certified(extensions)?;
        let first = timeout(HELLO_WAIT, ups.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("say first who follows"))??;
        let hello: Option<Hello> = first.and_then(from_up).and_then(|up| match up {
            Up::Hello(hello) => Some(hello),
            _ => None,
        });
        let hello = hello.ok_or_else(|| Status::invalid_argument("say first who follows"))?;
        let from = self.listed(node, number, extensions, &hello.nodes)?;
        let table = self.registry.engine.cluster_table();
        let table: &ClusterTable =
            table.ok_or_else(|| Status::failed_precondition("this registry has its own table"))?;
        // What cannot be read ends the stream, as a broken one does.
        let ups = ups.map_while(|up| up.ok().and_then(from_up));
        let served = table.serve_follower(from, hello, ups, out).await;
        served.map_err(|why| Status::unavailable(why.to_string()))
    }
}

fn term(number: u64) -> Result<Term, Status> {
    Term::new(number).ok_or_else(|| Status::new(Code::InvalidArgument, format!("{number} is no term")))
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ClusterService for Calls {
    async fn election(&self, request: Request<v1::ElectionRequest>) -> Answer<v1::ElectionResponse> {
        let v1::ElectionRequest { nodes, seen } = request.get_ref();
        let message = term(*seen).map(|seen| Message::Election { seen });
        self.hear(&request, nodes, message)?;
        Ok(Response::new(v1::ElectionResponse {}))
    }

    async fn answer(&self, request: Request<v1::AnswerRequest>) -> Answer<v1::AnswerResponse> {
        let v1::AnswerRequest {
            nodes,
            seen,
            leader_term,
        } = request.get_ref();
        let message = term(*seen).and_then(|seen| {
            let leader = term(*leader_term)?;
            Ok(Message::Answer { seen, leader })
        });
        self.hear(&request, nodes, message)?;
        Ok(Response::new(v1::AnswerResponse {}))
    }

    async fn coordinator(&self, request: Request<v1::CoordinatorRequest>) -> Answer<v1::CoordinatorResponse> {
        let v1::CoordinatorRequest { nodes, term: number } = request.get_ref();
        let message = term(*number).map(|term| Message::Coordinator { term });
        self.hear(&request, nodes, message)?;
        Ok(Response::new(v1::CoordinatorResponse {}))
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Answer<v1::HeartbeatResponse> {
        let v1::HeartbeatRequest { nodes, term: number } = request.get_ref();
        let message = term(*number).map(|term| Message::Heartbeat { term });
        self.hear(&request, nodes, message)?;
        Ok(Response::new(v1::HeartbeatResponse {}))
    }

    async fn resign(&self, request: Request<v1::ResignRequest>) -> Answer<v1::ResignResponse> {
        let v1::ResignRequest { nodes, term: number } = request.get_ref();
        let message = term(*number).map(|term| Message::Resign { term });
        self.hear(&request, nodes, message)?;
        Ok(Response::new(v1::ResignResponse {}))
    }

    async fn decide(&self, request: Request<v1::DecideRequest>) -> Answer<v1::DecideResponse> {
        let (_, extensions, request) = request.into_parts();
        let (node, from) = self.caller(&extensions, &request.nodes)?;
        let message = request.message.and_then(from_said);
        let message = message.ok_or_else(|| Status::invalid_argument("this says nothing that the ledger knows"))?;
        node.deciding().hear(from, message);
        Ok(Response::new(v1::DecideResponse {}))
    }

    async fn add_invite(&self, request: Request<v1::AddInviteRequest>) -> Answer<v1::AddInviteResponse> {
        self.invite(request.extensions(), request.get_ref()).await?;
        Ok(Response::new(v1::AddInviteResponse {}))
    }

    async fn import_account(&self, request: Request<v1::ImportAccountRequest>) -> Answer<v1::ImportAccountResponse> {
        let imported = self.import(request.extensions(), request.get_ref()).await?;
        Ok(Response::new(imported))
    }

    type FollowStream = Pin<Box<dyn Stream<Item = Result<v1::FollowResponse, Status>> + Send>>;

    async fn follow(&self, request: Request<Streaming<v1::FollowRequest>>) -> Answer<Self::FollowStream> {
        // The answer's head goes out before the first request is here, as with peers.
        let (out, written) = mpsc::channel(WRITING_MAX);
        let (end, ended) = mpsc::channel(1);
        let (_, extensions, ups) = request.into_parts();
        let calls = self.clone();
        tokio::spawn(async move {
            if let Err(status) = calls.serve_follower(&extensions, ups, out).await {
                // Nobody is told where nobody reads any more.
                let _ = end.send(status).await;
            }
        });
        let written = ReceiverStream::new(written).filter_map(to_down).map(Ok);
        let stream = written.chain(ReceiverStream::new(ended).map(Err));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let table = self.registry.engine.cluster_table().map(ClusterTable::position);
        let status = self.registry.node.as_ref().map(|node| ClusterStatus::of(node, table));
        Ok(Response::new(status.map(wire_status).unwrap_or_default()))
    }
}

fn wire_status(status: ClusterStatus) -> v1::GetStatusResponse {
    let role = match status.state {
        NodeState::Follower => v1::NodeRole::Follower,
        NodeState::Election => v1::NodeRole::Election,
        NodeState::Leader => v1::NodeRole::Leader,
    };
    let members = status.members.into_iter().map(|member| v1::ClusterMember {
        id: member.id.number().into(),
        address: member.address.to_string(),
        is_reachable: member.is_reachable,
    });
    v1::GetStatusResponse {
        id: status.id.number().into(),
        role: role.into(),
        term: status.term.unwrap_or_default(),
        leader: status.leader.map_or(0, |id| id.number().into()),
        members: members.collect(),
        table: status.table.map(to_position),
        ledger: status.ledger.map(|ledger| v1::LedgerStatus {
            committed: ledger.committed,
            applied: ledger.applied,
            is_taking_part: ledger.is_taking_part,
            standing: ledger.standing,
        }),
    }
}
