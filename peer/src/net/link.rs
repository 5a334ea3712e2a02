//! The two directions of a link: what waits in the queue becomes frames, and frames become inputs of the node.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use peerchat_proto::v1::{self as wire, Frame};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{Net, convert, giving::Giving, passport::Passport};
use crate::{
    credentials::Shown,
    driver::ports::{Incoming, LinkOutlet},
    node::{
        Input,
        limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, HEIGHTS_BYTES_MAX, KNOCKS_MAX, MEMBERSHIPS_MAX},
        link::{LinkId, Outgoing},
    },
};

/// How long the other side has to end a link that this side has closed.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Of so many frames that come without a pause none is looked at for whether the link is still to be there.
const FRAMES_UNWATCHED_MAX: u32 = 64;

/// The frames that go out over a link: first the hello, then whatever waits in the queue, as much of it in a frame as the limits of
/// a batch allow. So a message on an idle link waits for nothing, and a burst becomes few frames.
pub(super) struct FrameStream {
    hello: Option<wire::Hello>,
    /// Tells of each certificate of this device that follows the one with which the connection was made.
    renewed: WatchStream<Option<Arc<Shown>>>,
    outlet: LinkOutlet,
    /// Histories that the other side is to give, where it has dialled.
    calls: Option<mpsc::Receiver<wire::HistoryCall>>,
    /// Taken out of the queue, not sent yet.
    waiting: VecDeque<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
    link: LinkId,
    /// What to say last, once the queue is empty.
    bye: Option<Frame>,
    over: bool,
}

impl FrameStream {
    pub(super) fn new(net: &Net, outlet: LinkOutlet, link: LinkId) -> Self {
        Self {
            hello: Some(net.hello()),
            renewed: WatchStream::from_changes(net.credentials.watch()),
            outlet,
            calls: None,
            waiting: VecDeque::new(),
            incoming: net.incoming.clone(),
            link,
            bye: None,
            over: false,
        }
    }

    /// Asks over the link as well for what comes out of `calls`.
    pub(super) fn with_calls(self, calls: mpsc::Receiver<wire::HistoryCall>) -> Self {
        Self {
            calls: Some(calls),
            ..self
        }
    }

    fn last(&mut self, bye: Frame) -> Frame {
        self.over = true;
        bye
    }

    fn next_frame(&mut self) -> Option<Frame> {
        let mut frame = Frame::default();
        let (mut bytes, mut heights_bytes) = (0, 0);
        while let Some(next) = self.waiting.pop_front() {
            match next {
                Outgoing::Entry(entry) => {
                    let over = bytes + entry.bytes.len() > BATCH_BYTES_MAX && !frame.entries.is_empty();
                    // A frame's parts take effect in the order of its fields, so no entry may follow heights.
                    if over || frame.entries.len() == BATCH_ENTRIES_MAX || !frame.heights.is_empty() {
                        self.waiting.push_front(Outgoing::Entry(entry));
                        return Some(frame);
                    }
                    bytes += entry.bytes.len();
                    frame.entries.push(entry.bytes.clone());
                }
                Outgoing::Seal(conversation, seal) => {
                    convert::add_live_seal(&mut frame.seals, &conversation, &seal);
                }
                Outgoing::Ack(ack) => {
                    // Acks are cumulative: a later one for the same author says what an earlier one said.
                    let ack = convert::ack_to_wire(&ack);
                    let same = |old: &&mut wire::Ack| old.author == ack.author && old.conversation == ack.conversation;
                    match frame.acks.iter_mut().rev().take(8).find(same) {
                        Some(old) => *old = ack,
                        None => frame.acks.push(ack),
                    }
                }
                Outgoing::Knock(knock) => {
                    if frame.knocks.len() == KNOCKS_MAX {
                        self.waiting.push_front(Outgoing::Knock(knock));
                        return Some(frame);
                    }
                    frame.knocks.push(convert::knock_to_wire(&knock));
                }
                Outgoing::Heights(news) => {
                    let heights = convert::heights_news_to_wire(&news);
                    heights_bytes += heights.encoded_len();
                    // Those of many conversations together could be longer than a message may be.
                    if heights_bytes > HEIGHTS_BYTES_MAX && (!frame.heights.is_empty() || !frame.entries.is_empty()) {
                        self.waiting.push_front(Outgoing::Heights(news));
                        return Some(frame);
                    }
                    frame.heights.push(heights);
                }
                Outgoing::Memberships(news) => {
                    if frame.memberships.len() + news.len() > MEMBERSHIPS_MAX {
                        self.waiting.push_front(Outgoing::Memberships(news));
                        return Some(frame);
                    }
                    frame.memberships.extend(news.iter().map(convert::membership_to_wire));
                }
            }
        }
        (frame != Frame::default()).then_some(frame)
    }
}

impl Stream for FrameStream {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        let this = self.get_mut();
        if let Some(hello) = this.hello.take() {
            return Poll::Ready(Some(Frame {
                hello: Some(hello),
                ..Frame::default()
            }));
        }
        if this.over {
            return Poll::Ready(None);
        }
        if this.bye.is_none()
            && !this.outlet.close.is_terminated()
            && let Poll::Ready(Ok((reason, message))) = Pin::new(&mut this.outlet.close).poll(context)
        {
            this.bye = Some(convert::bye_to_wire(reason, message));
        }
        if let Some(calls) = &mut this.calls
            && let Poll::Ready(Some(call)) = calls.poll_recv(context)
        {
            return Poll::Ready(Some(Frame {
                calls: vec![call],
                ..Frame::default()
            }));
        }
        loop {
            if this.waiting.is_empty() {
                let mut batch = Vec::new();
                match this.outlet.queue.poll_recv_many(context, &mut batch, BATCH_ENTRIES_MAX) {
                    Poll::Pending => {
                        if let Some(bye) = this.bye.take() {
                            return Poll::Ready(Some(this.last(bye)));
                        }
                        if let Poll::Ready(Some(Some(shown))) = Pin::new(&mut this.renewed).poll_next(context) {
                            return Poll::Ready(Some(Frame {
                                certificate: shown.certificate.der.to_vec().into(),
                                ..Frame::default()
                            }));
                        }
                        if this.outlet.drained() {
                            // Told from a task of its own, since this one must not wait for the driver.
                            let (incoming, link) = (this.incoming.clone(), this.link);
                            tokio::spawn(async move { incoming.send(Incoming::Input(Input::LinkDrained(link))).await });
                        }
                        return Poll::Pending;
                    }
                    Poll::Ready(0) => {
                        this.over = true;
                        return Poll::Ready(this.bye.take().map(|bye| this.last(bye)));
                    }
                    Poll::Ready(_) => this.waiting.extend(batch),
                }
            }
            if let Some(frame) = this.next_frame() {
                return Poll::Ready(Some(frame));
            }
        }
    }
}

/// Brings what comes in over a link to the driver until the link ends, and says how it ended. It ends with the certificate of the
/// other side, unless that is renewed. Histories that the other side asks for are given by `giving`; none where that side could call.
pub(super) async fn pump<S>(
    mut frames: S,
    mut passport: Passport,
    giving: Option<Giving>,
    link: LinkId,
    incoming: mpsc::Sender<Incoming>,
    closed: CancellationToken,
) where
    S: Stream<Item = Result<Frame, Status>> + Unpin,
{
    let reader = passport.reader();
    let mut ended = Box::pin(passport.ended());
    let stopped = closed.cancelled();
    tokio::pin!(stopped);
    let mut driver_ended = false;
    let mut unwatched = 0;
    let reason = loop {
        if unwatched == FRAMES_UNWATCHED_MAX {
            // It never pauses, so that below nothing but the next frame is ever looked at.
            unwatched = 0;
            if closed.is_cancelled() {
                break drained(frames).await;
            }
            if let Some(fault) = passport.fault() {
                break fault.to_string();
            }
        }
        let next = tokio::select! {
            // In this order, so that a busy link does not look at the others for every frame.
            biased;
            next = frames.next() => next,
            () = &mut stopped => break drained(frames).await,
            fault = &mut ended => break fault.to_string(),
        };
        unwatched += 1;
        let input = match next {
            Some(Ok(mut frame)) => {
                let certificate = std::mem::take(&mut frame.certificate);
                let renewed = match certificate.is_empty() {
                    true => Ok(()),
                    false => passport.renew(&certificate).map(|()| ended.set(passport.ended())),
                };
                let calls = std::mem::take(&mut frame.calls);
                let answered = calls.into_iter().try_for_each(|call| match &giving {
                    Some(giving) => giving.answer(&reader, call).map_err(|error| error.to_string()),
                    None => Err("it asks over the link for a history that it can call for".to_owned()),
                });
                let renewed = renewed.map_err(|error| error.to_string()).and(answered);
                match renewed.and_then(|()| decoded(frame)) {
                    Ok(frame) => Input::Frame(link, frame),
                    Err(error) => Input::Misbehaved(link, error),
                }
            }
            Some(Err(status)) if status.code() == Code::OutOfRange => {
                // Over the limit of a message. Nothing more can be read, but the other side can be told why.
                let input = Input::Misbehaved(link, status.message().to_owned());
                if incoming.send(Incoming::Input(input)).await.is_err() {
                    return;
                }
                let _at_once = tokio::time::timeout(CLOSE_WAIT, closed.cancelled()).await;
                break status.message().to_owned();
            }
            Some(Err(status)) => break status.message().to_owned(),
            None => break "closed by the other side".to_owned(),
        };
        // After the driver has ended, what is queued is still being sent: the link stays until the other side has heard the goodbye.
        driver_ended = driver_ended || incoming.send(Incoming::Input(input)).await.is_err();
    };
    // The driver has ended where this fails, and with it all links.
    let _ended = incoming.send(Incoming::Input(Input::LinkDown(link, reason))).await;
}

/// Waits until the other side has ended a link that this side has closed, for a while. What still comes is of no use.
async fn drained<S>(mut frames: S) -> String
where
    S: Stream<Item = Result<Frame, Status>> + Unpin,
{
    let deadline = tokio::time::sleep(CLOSE_WAIT);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            () = &mut deadline => return "closed by this side".to_owned(),
            next = frames.next() => match next {
                Some(Ok(_)) => {}
                Some(Err(status)) => return status.message().to_owned(),
                None => return "closed by the other side".to_owned(),
            },
        }
    }
}

fn decoded(frame: Frame) -> Result<crate::node::link::Frame, String> {
    convert::frame_from_wire(frame).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::SystemTime};

    use peerchat_registry::authority::Authority;

    use super::*;
    use crate::{
        credentials::Credentials,
        node::types::{DeviceId, UserName},
    };

    const LATER: usize = 2 * FRAMES_UNWATCHED_MAX as usize;
    const DEVICE: DeviceId = DeviceId([7; 32]);

    /// Frames without a pause. `when` is called before the one that makes the first half of [`LATER`] full.
    async fn pumped(when: impl Fn(&Credentials, &CancellationToken) + Send + 'static) -> (usize, String) {
        let folder = tempfile::tempdir().unwrap();
        let (alice, mallory) = (UserName::new("alice").unwrap(), UserName::new("mallory").unwrap());
        let credentials = Arc::new(Credentials::load(folder.path(), &alice, None).unwrap());
        let authority = Authority::in_memory().unwrap();
        let now = SystemTime::now();
        let issue = |device: &DeviceId, user: &UserName| {
            let hour = Duration::from_secs(3_600);
            authority.issue(&device.0, user, hour, now).unwrap()
        };
        let own = issue(&credentials.device(), &alice);
        credentials.adopt(own, authority.trust().authority().clone()).unwrap();
        let certificate = authority.trust().valid(&issue(&DEVICE, &mallory), now).unwrap();
        let passport = Passport::new(credentials.clone(), certificate);
        let closed = CancellationToken::new();
        let (count, stop) = (Arc::new(AtomicUsize::new(0)), closed.clone());
        let counted = count.clone();
        // They end, so that a pump that looks at nothing else does not go on for ever.
        let frames = tokio_stream::iter(
            std::iter::repeat_with(move || {
                if counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == LATER / 2 {
                    when(&credentials, &stop);
                }
                Ok(Frame::default())
            })
            .take(100 * LATER),
        )
        .chain(tokio_stream::pending());
        let (incoming, mut driver) = mpsc::channel(4);
        let pumping = tokio::spawn(pump(frames, passport, None, LinkId(1), incoming, closed));
        let mut taken = 0;
        let reason = loop {
            match driver.recv().await.unwrap() {
                Incoming::Input(Input::LinkDown(_, reason)) => break reason,
                _ => taken += 1,
            }
        };
        pumping.await.unwrap();
        (taken, reason)
    }

    #[tokio::test]
    async fn a_link_that_never_pauses_ends_when_its_device_is_revoked() {
        let (taken, reason) = pumped(|credentials, _| credentials.revoke([DEVICE])).await;
        assert!(taken <= LATER, "{taken}");
        assert!(reason.contains("revoked"), "{reason}");
    }

    #[tokio::test]
    async fn a_link_that_never_pauses_ends_when_this_side_closes_it() {
        let (taken, reason) = pumped(|_, closed| closed.cancel()).await;
        assert!(taken <= LATER, "{taken}");
        assert!(reason.contains("closed by this side"), "{reason}");
    }
}
