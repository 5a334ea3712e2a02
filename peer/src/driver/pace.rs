//! When the driver seals its own entries and judges the seals of others.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Driver, signer::Signer};
use crate::{
    log::{Disk, LogError},
    node::Input,
};

/// How often own entries are sealed at most: those of a burst are sealed together. The first one is sealed as soon as it was sent: until
/// its seal is there as well, nobody who has it can pass it on, should its author die. Of those after it the seal goes out with what is
/// said next, so that it costs no frame of its own over each link; where nothing is said, when it is time to seal again.
const SEAL_EVERY: Duration = Duration::from_millis(5);
/// How long the seals of others wait at most to be judged.
const JUDGE_EVERY: Duration = Duration::from_millis(100);

/// What is due when.
#[derive(Debug)]
pub(super) struct Pace {
    /// When own entries must be sealed.
    pub(super) seal_at: Option<Instant>,
    /// Not before this are they sealed again.
    seal_from: Instant,
    /// What the signer has sealed; none where there is no such thread.
    pub(super) signed: Option<mpsc::Receiver<Input>>,
    /// The signer has the first entry after a pause: its seal waits for nothing.
    pub(super) first_of_burst: bool,
    /// When the seals of others must be judged; none while they are, or while there are none.
    pub(super) judge_at: Option<Instant>,
    /// What came of judging them.
    pub(super) judged: mpsc::Receiver<Vec<Input>>,
    done: mpsc::Sender<Vec<Input>>,
    is_judging: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        let (done, judged) = mpsc::channel(1);
        Self {
            seal_at: None,
            seal_from: Instant::now(),
            signed: None,
            first_of_burst: false,
            judge_at: None,
            judged,
            done,
            is_judging: false,
        }
    }

    /// What the signer has sealed, where that is not to wait for what is said next.
    pub(super) async fn signed(signed: &mut Option<mpsc::Receiver<Input>>, at_once: bool) -> Input {
        match signed.as_mut().filter(|_| at_once) {
            Some(receiver) => match receiver.recv().await {
                Some(input) => input,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// All that the signer has sealed.
    pub(super) fn take_signed(&mut self) -> Vec<Input> {
        let next = || self.signed.as_mut()?.try_recv().ok();
        std::iter::from_fn(next).collect()
    }
}

impl<D: Disk> Driver<D> {
    /// Begins to seal own entries on a thread of its own. Without one they are sealed by this one, a moment later.
    pub(super) fn start_signer(&mut self) {
        match Signer::start(self.core.notary()) {
            Ok((signer, signed)) => {
                self.core.seal_with(signer);
                self.pace.signed = Some(signed);
            }
            Err(error) => tracing::warn!(%error, "no thread for seals"),
        }
    }

    /// Takes note of what is to be done after a turn.
    pub(super) fn plan_seals(&mut self) {
        let Self { core, pace, .. } = self;
        let must_judge = core.must_judge();
        if !core.must_seal() {
            pace.seal_at = None;
        } else if pace.seal_at.is_none() {
            let now = Instant::now();
            if pace.seal_from <= now && core.seal_elsewhere() {
                pace.seal_from = now + SEAL_EVERY;
                pace.first_of_burst = true;
            }
            pace.seal_at = Some(pace.seal_from.max(now));
        }
        if must_judge && pace.judge_at.is_none() && !pace.is_judging {
            // Together with what comes meanwhile, and not just as the user's answer is sent.
            let wait = match core.must_judge_now() {
                true => Duration::ZERO,
                false => JUDGE_EVERY,
            };
            pace.judge_at = Some(Instant::now() + wait);
        }
    }

    /// Takes what the signer has sealed, and has it seal what was said since. Where that cannot be, it is sealed here.
    pub(super) async fn seal(&mut self) -> Result<(), LogError> {
        self.pace.first_of_burst = false;
        self.pace.seal_from = Instant::now() + SEAL_EVERY;
        let signed = self.pace.take_signed();
        self.feed(signed).await?;
        if self.core.seal_elsewhere() {
            // By then it is done, or there is more.
            self.pace.seal_at = self.core.must_seal().then_some(self.pace.seal_from);
            return Ok(());
        }
        self.seal_here().await
    }

    /// Seals own entries.
    pub(super) async fn seal_here(&mut self) -> Result<(), LogError> {
        self.pace.seal_at = None;
        let acts = self.core.seal(self.now())?;
        self.act_on(acts).await
    }

    pub(super) fn judge(&mut self) {
        (self.pace.judge_at, self.pace.is_judging) = (None, true);
        let (judging, done) = (self.core.begin_judging(), self.pace.done.clone());
        tokio::task::spawn_blocking(move || {
            // The driver has ended where this fails, and the seals come again.
            let _ended = done.blocking_send(judging.run());
        });
    }

    pub(super) async fn judged(&mut self, inputs: Vec<Input>) -> Result<(), LogError> {
        self.pace.is_judging = false;
        self.feed(inputs).await
    }

    /// After a failure nothing more is kept, but what is in the log can still be proved: without it those who have these entries could
    /// not pass them on, nor anything that was said after them.
    pub(super) fn seal_last(&mut self) {
        for act in self.core.last_seals(self.now()) {
            if let super::core::Act::Send(link, what) = act
                && let Some(queue) = self.links.get(&link)
            {
                let _full = queue.send(what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{runtime::Builder, time::timeout};

    use super::*;

    #[test]
    fn a_seal_waits_for_what_is_said_next_unless_it_is_the_first_after_a_pause() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (signer, signed) = mpsc::channel(4);
            let mut pace = Pace::new();
            pace.signed = Some(signed);
            signer.send(Input::Tick).await.unwrap();
            let waits = timeout(Duration::from_millis(1), Pace::signed(&mut pace.signed, false)).await;
            assert!(waits.is_err());
            assert!(matches!(Pace::signed(&mut pace.signed, true).await, Input::Tick));
            for _ in 0..2 {
                signer.send(Input::Tick).await.unwrap();
            }
            assert_eq!(pace.take_signed().len(), 2);
            assert!(pace.take_signed().is_empty());
        });
    }
}
