//! What the registry was asked and has not answered when it failed: it is asked of the next one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::{
    Question,
    calls::{fail, is_unwilling, unanswered},
};
use crate::{
    net::Net,
    node::{
        Ask, Input,
        limits::{FAILOVER_MS_MAX, FAILOVER_QUESTIONS_MAX},
    },
};

/// A question on its way to a registry.
pub(super) struct Queued {
    pub(super) question: Question,
    /// What another registry has failed with. It is asked of no third one.
    pub(super) failed: Option<Status>,
}

impl Queued {
    pub(super) fn new(question: Question) -> Self {
        Self { question, failed: None }
    }

    /// One with which a registry has failed.
    pub(super) fn failed(question: Question, status: Status) -> Self {
        let failed = Some(status);
        Self { question, failed }
    }

    /// Whether it does no harm to ask it again, though it may have been heard: who is in a room already joins it without a word to
    /// anybody, and leaving is done once. What changes an account is not like that once it was asked, unless the registry said that it
    /// cannot.
    pub(super) fn is_safe(&self) -> bool {
        match self.question {
            Question::Ask(Ask::Join(_) | Ask::Leave(_) | Ask::Find(_)) | Question::ListRooms(_) => true,
            // After a log-in it is said anew who is to be watched.
            Question::Ask(Ask::Watch(_)) => false,
            // Who was not asked has not done it, nor has who says that he cannot.
            Question::Account(..) => self.failed.as_ref().is_none_or(is_unwilling),
        }
    }

    /// Answers what another registry has failed with, or else that nobody answers.
    pub(super) async fn answer(self, net: &Net) {
        match self.failed {
            Some(status) => fail(net, self.question, &status).await,
            None => unanswered(net, self.question).await,
        }
    }
}

/// The time between two sessions.
pub(super) struct Between {
    net: Net,
    questions: Vec<Queued>,
    /// Until when the user need not know, and why the last session ended.
    failing_over: Option<(Instant, String)>,
}

impl Between {
    pub(super) fn new(net: Net) -> Self {
        Self {
            net,
            questions: Vec::new(),
            failing_over: None,
        }
    }

    /// A session has ended, for this reason, and left these questions.
    pub(super) async fn begin(&mut self, why: String, left: Vec<Queued>) {
        self.failing_over = Some((Instant::now() + Duration::from_millis(FAILOVER_MS_MAX), why));
        for queued in left {
            self.keep(queued).await;
        }
    }

    /// Keeps a question for the next registry, if there may soon be one.
    pub(super) async fn hold(&mut self, question: Question) {
        match self.failing_over {
            Some(_) => self.keep(Queued::new(question)).await,
            None => unanswered(&self.net, question).await,
        }
    }

    async fn keep(&mut self, queued: Queued) {
        if queued.is_safe() && self.questions.len() < FAILOVER_QUESTIONS_MAX {
            self.questions.push(queued);
        } else {
            queued.answer(&self.net).await;
        }
    }

    /// Waits until finding another one takes longer than the user may be left to believe that all is well; says why the last session
    /// ended.
    pub(super) async fn too_long(&self) -> String {
        match &self.failing_over {
            Some((until, why)) => {
                sleep_until(*until).await;
                why.clone()
            }
            None => std::future::pending().await,
        }
    }

    /// Until when the user may be left to believe that all is well; none where that is over.
    pub(super) fn patience(&self) -> Option<Instant> {
        let (until, _) = self.failing_over.as_ref()?;
        Some(*until).filter(|until| *until > Instant::now())
    }

    /// There is no registry for now: whoever waits is told, and the user.
    pub(super) async fn give_up(&mut self, why: String) {
        self.failing_over = None;
        for queued in std::mem::take(&mut self.questions) {
            queued.answer(&self.net).await;
        }
        self.net.tell(Input::RegistryDown(why)).await;
    }

    /// There will be none any more: whoever waits is told, and the user.
    pub(super) async fn bar(&mut self, why: &str) {
        self.failing_over = None;
        for queued in std::mem::take(&mut self.questions) {
            fail(&self.net, queued.question, &Status::permission_denied(why)).await;
        }
        self.net.tell(Input::RegistryBarred(why.to_owned())).await;
    }

    /// There is one: these are to be asked there.
    pub(super) fn end(&mut self) -> Vec<Queued> {
        self.failing_over = None;
        std::mem::take(&mut self.questions)
    }
}
