//! What the wire brings.

use super::{
    Driver,
    ports::{Incoming, LinkQueue, Wanted},
    serve::ServedPart,
    waiting::VersionCall,
};
use crate::{
    log::{Disk, LogError},
    node::{Input, link::LinkUp},
};

impl<D: Disk> Driver<D> {
    pub(super) async fn incoming(&mut self, batch: Vec<Incoming>) -> Result<(), LogError> {
        let mut inputs = Vec::with_capacity(batch.len());
        let asks = |incoming: &Incoming| matches!(incoming, Incoming::Version { .. } | Incoming::History { .. });
        if self.core.must_seal() && batch.iter().any(asks) {
            // Who asks is told of what was said just now, too.
            self.seal_here().await?;
        }
        for incoming in batch {
            match incoming {
                Incoming::Input(input) => {
                    if let Input::LinkDown(link, _) = &input {
                        self.links.remove(link);
                    }
                    self.waiting.hear(&input);
                    inputs.push(input);
                }
                Incoming::LinkUp(up, queue) => inputs.push(self.link_up(up, queue)),
                Incoming::Version {
                    conversation,
                    reader,
                    reply,
                } => self.version_asked(VersionCall {
                    conversation,
                    reader,
                    reply,
                }),
                Incoming::History {
                    conversation,
                    reader,
                    wanted,
                    reply,
                } => {
                    let serving = match wanted {
                        Wanted::Beyond(heights) => self.core.serve_history(&reader, &conversation, &heights),
                        // Whoever leaves meanwhile is given no more.
                        Wanted::Next(serving) => self.core.may_read(&reader, &conversation).map(|()| Some(*serving)),
                    };
                    let part = serving.and_then(|serving| match serving {
                        Some(mut serving) => {
                            let part = self.core.serve_part(&conversation, &mut serving)?;
                            Ok((part, Some(Box::new(serving))))
                        }
                        None => Ok((ServedPart::default(), None)),
                    });
                    // Where the caller has gone, nobody needs the answer.
                    let _gone = reply.send(part);
                }
            }
        }
        if inputs.is_empty() {
            Ok(())
        } else {
            self.feed(inputs).await
        }
    }

    fn link_up(&mut self, up: LinkUp, queue: LinkQueue) -> Input {
        self.links.insert(up.link, queue);
        Input::LinkUp(up)
    }
}
