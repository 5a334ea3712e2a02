//! What this peer asks of others: a link, a version, a history.

use std::time::Duration;

use peerchat_proto::v1::{self as wire, chat_service_client::ChatServiceClient};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming, transport::Channel};

use super::{
    CALL_DEADLINE, MESSAGE_BYTES_MAX, Net,
    channel::{self, ConnectError, Dialled},
    connections::{Connection, Given},
    convert,
    giving::Giving,
    link,
    passport::Passport,
};
use crate::{
    driver::ports::{Incoming, LinkOutlet, link_queue},
    node::{
        Input,
        limits::{LINK_QUEUE_MAX, PULL_MS_MAX},
        link::{LinkId, LinkUp, Way},
        sync::PullId,
        types::{Conversation, DeviceId, EntryError, Heights},
        window::{BadHistory, PullFailure},
    },
    seal::HistoryReader,
};

/// How long a part of a history may take. The node judges its pace, and keepalive finds a dead end sooner; this is for what both miss.
const PART_DEADLINE: Duration = Duration::from_millis(PULL_MS_MAX);

/// Why another peer could not be asked.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("refused: {}", .0.message())]
    Refused(#[from] Status),
    #[error("the answer breaks the protocol: {0}")]
    Malformed(#[from] EntryError),
    #[error("the answer has no hello")]
    NoHello,
    #[error("the link has ended")]
    NoLink,
    #[error("it cannot be called over a link that it has dialled")]
    NotDialled,
    #[error("it does not give its history: {0}")]
    NotGiven(String),
    #[error("the history is bad: {0}")]
    BadHistory(#[from] BadHistory),
    #[error("the history cannot be judged: {0}")]
    Unjudged(#[from] tokio::task::JoinError),
}

impl CallError {
    /// Whether what came breaks the protocol. Silence does not, and a bad history is told as such.
    fn is_misbehaviour(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::NoHello)
    }
}

fn client(channel: Channel) -> ChatServiceClient<Channel> {
    ChatServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// A connection over which a device can be called.
async fn called(net: &Net, device: DeviceId, way: &Way) -> Result<ChatServiceClient<Channel>, CallError> {
    let address = match way {
        Way::Address(address) => address.clone(),
        Way::Link(link) => match net.connections.of(*link).ok_or(CallError::NoLink)? {
            Connection::Dialled { dialled, .. }
                if net.credentials.clock().now() < dialled.shown.certificate.not_after =>
            {
                return Ok(client(dialled.channel));
            }
            // The certificate that the link's connection was made with has ended. The link goes on with another one, and calls do not.
            Connection::Dialled { address, .. } => address,
            Connection::Accepted(_) => return Err(CallError::NotDialled),
        },
    };
    Ok(client(channel::to_device(net, device, &address).await?.channel))
}

async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Result<T, CallError> {
    timeout(time, future).await.map_err(|_| CallError::Silent(time))
}

/// Dials a device and keeps the link until it ends.
pub(super) async fn dial(net: Net, device: DeviceId, address: String) {
    let (queue, outlet) = link_queue(LINK_QUEUE_MAX);
    let link = net.new_link();
    let closed = outlet.closed.clone();
    match open(&net, device, &address, outlet, link).await {
        Ok((up, frames, passport, dialled)) => {
            net.introduce(passport.der()).await;
            let giving = Giving::new(&net, dialled.channel.clone());
            let _known = net.connections.add(link, Connection::Dialled { dialled, address });
            if net.incoming.send(Incoming::LinkUp(up, queue)).await.is_ok() {
                link::pump(frames, passport, Some(giving), link, net.incoming.clone(), closed).await;
            }
        }
        Err(error) => {
            tracing::debug!(%device, %address, %error, "cannot dial");
            if error.is_misbehaviour() {
                // Whoever is there has not said who it is.
                net.refusals
                    .unknown(&format!("a peer at {address} was dialled: {error}"));
            }
            let is_revoked = matches!(error, CallError::Connect(ConnectError::Revoked(_)));
            let failed = if is_revoked {
                Input::DialRevoked
            } else {
                Input::DialFailed
            };
            net.tell(failed(device)).await;
        }
    }
}

type Frames = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<wire::Frame, Status>> + Send>>;

async fn open(
    net: &Net,
    device: DeviceId,
    address: &str,
    outlet: LinkOutlet,
    link: LinkId,
) -> Result<(LinkUp, Frames, Passport, Box<Dialled>), CallError> {
    let dialled = Box::new(channel::to_device(net, device, address).await?);
    let mut client = client(dialled.channel.clone());
    let certificate = dialled.certificate.clone();
    let outgoing = link::FrameStream::new(net, outlet, link).map(|frame| wire::LinkRequest { frame: Some(frame) });
    let mut frames = within(CALL_DEADLINE, client.link(outgoing)).await??.into_inner();
    let first = within(CALL_DEADLINE, frames.message()).await??;
    let hello = first
        .and_then(|response| response.frame)
        .and_then(|frame| frame.hello)
        .ok_or(CallError::NoHello)?;
    let up = LinkUp {
        link,
        device,
        user: certificate.user.clone(),
        session: hello.session,
        address: address.to_owned(),
        dialed_by_us: true,
    };
    Ok((
        up,
        Box::pin(frames.map(|response| response.map(|response| response.frame.unwrap_or_default()))),
        Passport::new(net.credentials.clone(), certificate),
        dialled,
    ))
}

/// Asks a device how much of a conversation it holds.
pub(super) async fn ask_version(net: Net, device: DeviceId, way: Way, conversation: Conversation) {
    let answer = async {
        let mut client = called(&net, device, &way).await?;
        let request = wire::VersionRequest {
            conversation: Some(convert::conversation_to_wire(&conversation)),
        };
        let response = client.version(request).await?.into_inner();
        Ok::<_, CallError>(convert::heights_from_wire(&response.heights)?)
    };
    let input = match within(CALL_DEADLINE, answer).await.and_then(|answer| answer) {
        Ok(heights) => Input::VersionAnswer(device, conversation, heights),
        Err(error) => {
            tracing::debug!(%device, ?way, %error, "cannot ask for the version");
            if error.is_misbehaviour() {
                net.tell(Input::BadAnswer(device, error.to_string())).await;
            }
            Input::VersionFailed(device, conversation)
        }
    };
    net.tell(input).await;
}

/// What is to be pulled.
pub(super) struct Wanted {
    pub(super) pull: PullId,
    pub(super) conversation: Conversation,
    pub(super) heights: Heights,
}

/// Pulls what is lacking of a conversation from a device.
pub(super) async fn pull(net: Net, device: DeviceId, way: Way, wanted: Wanted) {
    let pull = wanted.pull;
    let end = pull_parts(&net, device, &way, wanted).await;
    if let Err(error) = &end {
        tracing::debug!(%device, ?way, %error, "cannot pull");
    }
    let end = end.map_err(|error| match error {
        CallError::BadHistory(why) => PullFailure::Bad(why),
        other => PullFailure::Broken(other.to_string()),
    });
    net.tell(Input::HistoryEnd(pull, end)).await;
}

/// The parts of a history, from whoever was called or was asked to call.
enum Parts {
    Called(Streaming<wire::HistoryResponse>),
    Given(Given),
}

impl Parts {
    async fn begin(net: &Net, device: DeviceId, way: &Way, request: wire::HistoryRequest) -> Result<Self, CallError> {
        if let Way::Link(link) = way
            && let Some(Connection::Accepted(calls)) = net.connections.of(*link)
        {
            let mut ticket = net.connections.ask(device);
            let call = wire::HistoryCall {
                ticket: ticket.number,
                request: Some(request),
            };
            calls.send(call).await.map_err(|_| CallError::NoLink)?;
            let given = (&mut ticket.given).await;
            return given.map(Self::Given).map_err(|_| CallError::NoLink);
        }
        let mut client = called(net, device, way).await?;
        Ok(Self::Called(client.history(request).await?.into_inner()))
    }

    async fn next(&mut self) -> Result<Option<wire::HistoryResponse>, CallError> {
        match self {
            Self::Called(parts) => Ok(parts.message().await?),
            Self::Given(given) => match given.parts.message().await? {
                Some(next) if !next.failed.is_empty() => Err(CallError::NotGiven(next.failed)),
                Some(next) => Ok(Some(next.part.unwrap_or_default())),
                None => Ok(None),
            },
        }
    }
}

async fn pull_parts(net: &Net, device: DeviceId, way: &Way, wanted: Wanted) -> Result<(), CallError> {
    let (conversation, heights) = (wanted.conversation.clone(), wanted.heights.clone());
    let mut reader = HistoryReader::new(net.notary.clone(), &net.me, conversation, heights);
    let request = wire::HistoryRequest {
        conversation: Some(convert::conversation_to_wire(&wanted.conversation)),
        heights: convert::heights_to_wire(&wanted.heights),
    };
    let mut parts = within(2 * CALL_DEADLINE, Parts::begin(net, device, way, request)).await??;
    while let Some(part) = within(PART_DEADLINE, parts.next()).await?? {
        let part = convert::part_from_wire(part).map_err(BadHistory::Malformed)?;
        // Signatures are judged beside the peer's one thread.
        let judged = move || {
            let pulled = reader.take(part);
            (reader, pulled)
        };
        let pulled;
        (reader, pulled) = tokio::task::spawn_blocking(judged).await?;
        let pulled = pulled?;
        if !pulled.is_empty() {
            net.tell(Input::History(wanted.pull, pulled)).await;
        }
    }
    Ok(reader.finish()?)
}
