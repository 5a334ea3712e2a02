//! What the user asks, and how it is answered.

use std::time::Instant;

use super::{
    Driver, QUIT_WAIT, SEARCH_BYTES, Search,
    core::unreadable,
    ports::Order,
    request::{AccountAsk, Request},
};
use crate::{
    log::{Disk, LogError},
    node::{
        Input,
        event::{Code, Event, Notice, Replay, ReplayReason},
        types::{Conversation, RoomName},
    },
};

/// How much of what the user says in a row is one step. Where the disk has no room for a step, nothing of it is kept.
const SAID_BYTES_MAX: usize = 64 * 1024;

impl<D: Disk> Driver<D> {
    /// Does what the user asks. What he says in a row is one step, and one write to the log. Without any request his side has ended
    /// without a word.
    pub(super) async fn requests(&mut self, batch: Vec<Request>) -> Result<(), LogError> {
        if batch.is_empty() {
            return self.request(Request::Quit).await;
        }
        let (mut said, mut bytes) = (Vec::new(), 0);
        for request in batch {
            match request {
                Request::Write { conversation, text } => {
                    if said.is_empty() {
                        // The seals of what was said before go out in the same frames.
                        let signed = self.pace.take_signed();
                        self.feed(signed).await?;
                    }
                    bytes += text.len();
                    said.push(Input::Write(conversation, text));
                    if bytes >= SAID_BYTES_MAX {
                        self.feed(std::mem::take(&mut said)).await?;
                        bytes = 0;
                    }
                }
                other => {
                    self.feed(std::mem::take(&mut said)).await?;
                    self.request(other).await?;
                    if self.quit_at.is_some() {
                        break;
                    }
                }
            }
        }
        self.feed(said).await
    }

    async fn request(&mut self, request: Request) -> Result<(), LogError> {
        match request {
            Request::Join(room) => self.feed([Input::Join(room)]).await?,
            Request::JoinPrivate(invitation) => self.feed([Input::JoinPrivate(invitation)]).await?,
            Request::Invite(conversation) => self.invite(conversation).await,
            Request::Open(user) => self.feed([Input::Open(user)]).await?,
            Request::Leave(conversation) => self.feed([Input::Leave(conversation)]).await?,
            Request::People(wish) => self.feed([Input::People(wish)]).await?,
            Request::Write { conversation, text } => self.feed([Input::Write(conversation, text)]).await?,
            Request::History { conversation, last } => {
                match self.core.replay(&conversation, last, ReplayReason::History) {
                    Ok(replay) => self.tell_replay(replay, last).await,
                    Err(error) => self.unreadable(&error).await,
                }
            }
            Request::Search {
                conversation,
                text,
                last,
            } => self.begin_search(conversation, text, last).await,
            Request::Version(conversation) => {
                let talk = self.core.node().talks().get(&conversation);
                let heights = talk.map(|talk| talk.replica.heights()).unwrap_or_default();
                let authors = talk.into_iter().flat_map(|talk| talk.replica.authors());
                let users = authors.map(|(author, log)| (*author, log.user.clone())).collect();
                self.tell(Event::Version {
                    conversation,
                    heights,
                    users,
                })
                .await;
            }
            Request::Who(conversation) => {
                let members = self.core.node().who(&conversation);
                let refused_unknown = self.channels.refusals.count_unknown();
                self.tell(Event::Who {
                    conversation,
                    members,
                    refused_unknown,
                })
                .await;
            }
            Request::List => self.list().await,
            Request::Status => self.status(),
            Request::Account(ask) => self.ask_account(ask),
            Request::Current(conversation) => {
                let user = self.core.node().me().user.clone();
                if self.state.set_current(&conversation, &user) {
                    self.save_state();
                }
            }
            Request::Quit => self.quit_at = Some(Instant::now() + QUIT_WAIT),
        }
        Ok(())
    }

    async fn invite(&mut self, conversation: Conversation) {
        let event = match self.core.node().invitation(&conversation).cloned() {
            Some(invitation) => Event::Invitation {
                conversation,
                invitation,
            },
            None => {
                let label = conversation.label(&self.core.node().me().user);
                let message = match &conversation {
                    Conversation::Room(room) => format!("{label} is open to all: /join {room} enters it"),
                    Conversation::Direct(_) => format!("{label} is between two users; nobody else can enter it"),
                };
                Event::Notice(Notice {
                    code: Code::Refused,
                    message,
                })
            }
        };
        self.tell(event).await;
    }

    async fn unreadable(&mut self, error: &LogError) {
        self.tell(Event::Notice(unreadable(error))).await;
    }

    async fn begin_search(&mut self, conversation: Conversation, text: String, last: usize) {
        match self.core.log(&conversation) {
            Some(log) => {
                let scan = log.search(&text, last);
                self.searches.push_back(Search {
                    conversation,
                    text,
                    last,
                    scan,
                });
            }
            None => {
                let replay = Replay {
                    conversation,
                    why: ReplayReason::Search(text),
                    lines: Vec::new(),
                    more: false,
                };
                self.tell_replay(replay, last).await;
            }
        }
    }

    pub(super) async fn search(&mut self) -> Result<(), LogError> {
        let Some(mut search) = self.searches.pop_front() else {
            return Ok(());
        };
        let Some(log) = self.core.log(&search.conversation) else {
            return Ok(());
        };
        match search.scan.advance(log, SEARCH_BYTES) {
            Ok(false) => self.searches.push_front(search),
            Ok(true) => match search.scan.finish(log) {
                Ok(found) => {
                    let replay = Replay {
                        lines: self.core.lines(&search.conversation, &found.entries),
                        conversation: search.conversation,
                        why: ReplayReason::Search(search.text),
                        more: found.more,
                    };
                    self.tell_replay(replay, search.last).await;
                }
                Err(error) => self.unreadable(&error).await,
            },
            Err(error) => self.unreadable(&error).await,
        }
        Ok(())
    }

    fn ask_account(&mut self, ask: AccountAsk) {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let ordered = self.channels.orders.try_send(Order::Account(ask, reply)).is_ok();
        let events = self.channels.events.clone();
        tokio::spawn(async move {
            let answer = if ordered { answer.await.ok() } else { None };
            let event = match answer.unwrap_or_else(|| Err("this peer is too busy; try again".to_owned())) {
                Ok(news) => Event::Account(news),
                Err(message) => Event::Notice(Notice {
                    code: Code::Refused,
                    message,
                }),
            };
            // Where the user's side has ended, nobody wants to know.
            let _ended = events.send(event).await;
        });
    }

    fn status(&mut self) {
        let links = self.core.node().link_states(self.now().mono);
        let (reply, answer) = tokio::sync::oneshot::channel();
        let ordered = self.channels.orders.try_send(Order::RegistryStatus(reply)).is_ok();
        let events = self.channels.events.clone();
        tokio::spawn(async move {
            let registries = if ordered { answer.await.ok() } else { None };
            let event = match registries {
                Some(registries) => Event::Status { registries, links },
                None => Event::Notice(Notice {
                    code: Code::Refused,
                    message: "this peer is too busy; try again".to_owned(),
                }),
            };
            let _ended = events.send(event).await;
        });
    }

    async fn list(&mut self) {
        let talks = self.core.node().talks();
        let own: Vec<(Conversation, u64)> = talks
            .iter()
            .filter(|(conversation, talk)| talk.takes_part(conversation))
            .map(|(conversation, talk)| (conversation.clone(), talk.replica.version()))
            .collect();
        let (reply, answer) = tokio::sync::oneshot::channel();
        let ordered = self.channels.orders.try_send(Order::ListRooms(reply)).is_ok();
        let events = self.channels.events.clone();
        tokio::spawn(async move {
            let rooms: Option<Vec<(RoomName, u32)>> = if ordered { answer.await.ok().flatten() } else { None };
            let _ended = events.send(Event::List { own, rooms }).await;
        });
    }
}
