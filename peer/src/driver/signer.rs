//! A thread that seals what was said a moment ago: so neither an entry waits for a seal, nor the answer to it.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use tokio::sync::mpsc;

use crate::{
    node::{
        Input,
        types::{Author, Conversation, EntryId, Seq},
    },
    seal::{self, SharedNotary},
};

/// How many entries wait for their seals here. When it is full they are sealed with those after them.
const JOBS_MAX: usize = 16;

#[derive(Debug)]
struct Job {
    conversation: Conversation,
    author: Author,
    seq: Seq,
    id: EntryId,
}

/// The way to the thread, which ends with it.
#[derive(Debug)]
pub struct Signer {
    jobs: SyncSender<Job>,
}

impl Signer {
    /// Starts the thread. What it has sealed is to be handed to the core.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(notary: SharedNotary) -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let (jobs, waiting) = sync_channel::<Job>(JOBS_MAX);
        let (done, sealed) = mpsc::channel(JOBS_MAX);
        let work = move || {
            for job in waiting {
                let Job {
                    conversation,
                    author,
                    seq,
                    id,
                } = job;
                let seal = seal::make(notary.as_ref(), &conversation, author, seq, id);
                if done.blocking_send(Input::Sealed(conversation, vec![seal])).is_err() {
                    // The driver has ended.
                    return;
                }
            }
        };
        thread::Builder::new().name("seals".into()).spawn(work)?;
        Ok((Self { jobs }, sealed))
    }

    /// Has an own entry sealed. False if there is no room.
    pub(super) fn seal(&self, conversation: &Conversation, author: Author, seq: Seq, id: EntryId) -> bool {
        let conversation = conversation.clone();
        let job = Job {
            conversation,
            author,
            seq,
            id,
        };
        self.jobs.try_send(job).is_ok()
    }
}
