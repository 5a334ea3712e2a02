//! What this peer asks of others: a link, a version, a history.

use std::time::Duration;

use peerchat_identity::DeviceCertificate;
use peerchat_proto::v1::{self as wire, chat_service_client::ChatServiceClient};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Status, transport::Channel};

use super::{
    CALL_DEADLINE, MESSAGE_BYTES_MAX, Net,
    channel::{self, ConnectError},
    convert, link,
    passport::Passport,
};
use crate::{
    driver::ports::{Incoming, LinkOutlet, link_queue},
    node::{
        Input,
        limits::{LINK_QUEUE_MAX, PULL_MS_MAX},
        link::{LinkId, LinkUp},
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

/// A connection to another peer, and the certificate that it showed.
async fn connect(
    net: &Net,
    device: DeviceId,
    address: &str,
) -> Result<(ChatServiceClient<Channel>, DeviceCertificate), CallError> {
    let (channel, certificate) = channel::to_device(net, device, address).await?;
    let client = ChatServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok((client, certificate))
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
        Ok((up, frames, passport)) => {
            net.introduce(passport.der()).await;
            if net.incoming.send(Incoming::LinkUp(up, queue)).await.is_ok() {
                link::pump(frames, passport, link, net.incoming.clone(), closed).await;
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
) -> Result<(LinkUp, Frames, Passport), CallError> {
    let (mut client, certificate) = connect(net, device, address).await?;
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
    ))
}

/// Asks a device how much of a conversation it holds.
pub(super) async fn ask_version(net: Net, device: DeviceId, address: String, conversation: Conversation) {
    let answer = async {
        let (mut client, _) = connect(&net, device, &address).await?;
        let request = wire::VersionRequest {
            conversation: Some(convert::conversation_to_wire(&conversation)),
        };
        let response = client.version(request).await?.into_inner();
        Ok::<_, CallError>(convert::heights_from_wire(&response.heights)?)
    };
    let input = match within(CALL_DEADLINE, answer).await.and_then(|answer| answer) {
        Ok(heights) => Input::VersionAnswer(device, conversation, heights),
        Err(error) => {
            tracing::debug!(%device, %address, %error, "cannot ask for the version");
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
pub(super) async fn pull(net: Net, device: DeviceId, address: String, wanted: Wanted) {
    let pull = wanted.pull;
    let end = pull_parts(&net, device, &address, wanted).await;
    if let Err(error) = &end {
        tracing::debug!(%device, %address, %error, "cannot pull");
    }
    let end = end.map_err(|error| match error {
        CallError::BadHistory(why) => PullFailure::Bad(why),
        other => PullFailure::Broken(other.to_string()),
    });
    net.tell(Input::HistoryEnd(pull, end)).await;
}

async fn pull_parts(net: &Net, device: DeviceId, address: &str, wanted: Wanted) -> Result<(), CallError> {
    let (mut client, _) = connect(net, device, address).await?;
    let (conversation, heights) = (wanted.conversation.clone(), wanted.heights.clone());
    let mut reader = HistoryReader::new(net.notary.clone(), &net.me, conversation, heights);
    let request = wire::HistoryRequest {
        conversation: Some(convert::conversation_to_wire(&wanted.conversation)),
        heights: convert::heights_to_wire(&wanted.heights),
    };
    let mut parts = within(CALL_DEADLINE, client.history(request)).await??.into_inner();
    while let Some(part) = within(PART_DEADLINE, parts.message()).await?? {
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
