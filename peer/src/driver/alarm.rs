//! The one timer of the loop.
//!
//! Setting a timer of the runtime costs as much as appending an entry, and the loop waits for half a dozen times at once, most of which
//! pass unused. So it has one timer, which is set only where it would ring too late: it may ring too early, and is set again then. What is
//! due already needs none: the runtime's timers count milliseconds.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When it rings; none where it has rung.
    set_to: Option<Instant>,
    /// A time that has passed, and rings as soon as those have run whom the last turn has woken.
    passed: Option<Instant>,
}

impl Alarm {
    /// Waits until a time, or for ever where there is none. `now` is the time at which the wait begins.
    pub(super) async fn until(&mut self, at: Option<Instant>, now: Instant) {
        match at {
            Some(at) => std::future::poll_fn(|context| self.poll(at, now, context)).await,
            None => std::future::pending().await,
        }
    }

    fn poll(&mut self, at: Instant, now: Instant, context: &mut Context<'_>) -> Poll<()> {
        if at <= now {
            // What was said is on its way before it is synced.
            if self.passed.replace(at) != Some(at) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.passed = None;
            return Poll::Ready(());
        }
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at.into())));
            if self.set_to.is_none_or(|set_to| set_to > at) {
                timer.as_mut().reset(at.into());
                self.set_to = Some(at);
            }
            let rung = timer.as_mut().poll(context).is_ready();
            if !rung {
                return Poll::Pending;
            }
            if self.set_to.take() == Some(at) {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{runtime::Builder, time::timeout};

    use super::*;

    #[test]
    fn it_rings_not_before_the_time_asked_for_whatever_was_asked_before() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let begun = Instant::now();
            let after = |ms| Some(begun + Duration::from_millis(ms));
            let mut alarm = Alarm::default();
            let quick = Duration::from_millis(1);
            assert!(timeout(quick, alarm.until(after(60_000), begun)).await.is_err());
            assert!(timeout(quick, alarm.until(None, begun)).await.is_err());
            // Earlier than it was set to, later than it was set to, at a time that has passed.
            for at in [10, 30, 20, 40] {
                alarm.until(after(at), Instant::now()).await;
                assert!(begun.elapsed() >= Duration::from_millis(at), "{at}");
            }
            assert!(timeout(quick, alarm.until(after(60_000), begun)).await.is_err());
            alarm.until(after(50), Instant::now()).await;
            assert!(begun.elapsed() >= Duration::from_millis(50));
        });
    }

    #[test]
    fn what_is_due_already_waits_for_others_and_for_no_timer() {
        // This runtime has no timers.
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::default();
            for _ in 0..3 {
                let other = tokio::spawn(async {});
                let now = Instant::now();
                alarm.until(Some(now), now).await;
                assert!(other.is_finished());
            }
        });
    }
}
