//! What registries of one site do for each other's callers. Who waits for something stays where he waits: what it takes is said to all, and
//! the registry that it concerns does it and answers.

use std::{sync::Arc, time::Duration};

use peerchat_proto::{
    names::UserName,
    v1::{self, registry_note::Note as Said},
};
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use super::{CALL_DEADLINE, accounts::account_status};
use crate::{
    accounts::{
        DeviceLabel,
        decider::DECISION_WAIT,
        linking::{self, Waiting},
        throttle::Origin,
        tries::{Tried, What},
    },
    engine::EngineError,
    registry::Registry,
    routes::{DeviceId, Note},
};

/// How long two notes may be on their way: the question and its answer.
const NOTES_WAIT: Duration = Duration::from_millis(500);

/// How long another registry may take to approve a device that waits there: longer than a cluster decides, and less than the caller's call may
/// take. Whoever mistypes a code waits as long, since nobody says that he does not have it.
const APPROVAL_WAIT: Duration = DECISION_WAIT.saturating_add(NOTES_WAIT);

/// What the end of a call keeps of [`CALL_DEADLINE`] for its answer: one that is cut off tells the caller nothing.
const ANSWER_TIME: Duration = Duration::from_millis(250);

const _: () = assert!(APPROVAL_WAIT.as_millis() + ANSWER_TIME.as_millis() < CALL_DEADLINE.as_millis());

/// A device that was let in, and what it calls itself.
#[derive(Debug)]
pub(crate) struct Approved {
    pub(crate) device: DeviceId,
    pub(crate) label: DeviceLabel,
}

impl From<Waiting> for Approved {
    fn from(waiting: Waiting) -> Self {
        Self {
            device: waiting.device,
            label: waiting.label,
        }
    }
}

/// What became of it at the registry of the site where it waited.
type Settled = Result<Approved, Status>;

/// What this registry and the others say to each other.
pub(crate) type Notes = crate::notes::Notes<Settled>;

/// Approves a device that waits at another registry with this code, which is none of those that wait here. That the caller is a device of
/// the user and may try another code was made sure of before, since `began`, when the call came.
pub(super) async fn approve_elsewhere(
    registry: &Registry,
    began: Instant,
    user: &UserName,
    by: DeviceId,
    code: linking::Code,
) -> Result<Approved, Status> {
    if !registry.engine.is_shared() {
        return Err(account_status(linking::NotApproved::Unknown.into()));
    }
    let mut asked = registry.notes.ask().ok_or(EngineError::Busy)?;
    let until = answered_until(began, Instant::now());
    let sought = Said::ApprovalSought(v1::ApprovalSought {
        question: asked.number,
        user: user.shown().to_owned(),
        by: by.0.to_vec().into(),
        sealed_code: registry.notes.seal_code(user.key(), code).to_vec().into(),
    });
    let said = timeout_at(until, say(registry, sought)).await;
    said.unwrap_or(Err(EngineError::Away))?;
    let approved = timeout_at(until, &mut asked.answer).await;
    let approved = approved.ok().and_then(Result::ok).unwrap_or_else(|| Err(silence()))?;
    registry.accounts.approved_elsewhere(user);
    Ok(approved)
}

/// How long another registry is waited for at `now` in a call that `began` before: looking up the caller's lease takes its time too.
fn answered_until(began: Instant, now: Instant) -> Instant {
    (now + APPROVAL_WAIT).min(began + CALL_DEADLINE.saturating_sub(ANSWER_TIME))
}

/// No registry has answered for a code. Nobody has it, or who has it is too slow: which of the two it is nobody can know. It is told as a code
/// that is wrong and not as a registry that is away, for which a peer would leave this one and have the same code counted once more.
fn silence() -> Status {
    Status::not_found(format!(
        "no new device of yours waits with this code, as far as any registry has said within {} s: it is mistyped, or older than ten minutes, or \
        the registry at which it waits did not answer; look at the code and try again",
        APPROVAL_WAIT.as_secs_f32()
    ))
}

/// Does for callers of other registries what only this one can, and tells the others what is tried here, for ever.
pub(crate) async fn run(registry: Arc<Registry>) {
    let Some(heard) = registry.engine.listen() else {
        return std::future::pending().await;
    };
    let tries = registry.accounts.tries();
    tokio::join!(hear(&registry, heard), tell_tries(&registry, tries));
}

async fn hear(registry: &Registry, mut heard: mpsc::Receiver<Note>) {
    while let Some(note) = heard.recv().await {
        match read(registry, &note) {
            Some(said) => answer(registry, said).await,
            None => debug!("what was said through the table is of no registry of this site"),
        }
    }
}

/// Tells the others what is tried here. While the table does not answer, each counts for itself.
async fn tell_tries(registry: &Registry, mut tries: mpsc::Receiver<Tried>) {
    while let Some(tried) = tries.recv().await {
        let said = Said::TryCounted(to_tried(registry.notes.own, &tried));
        if let Err(error) = say(registry, said).await {
            debug!(%error, "the other registries could not be told of a try");
        }
    }
}

fn read(registry: &Registry, note: &Note) -> Option<Said> {
    v1::RegistryNote::decode(registry.notes.open(note)?).ok()?.note
}

async fn answer(registry: &Registry, said: Said) {
    match said {
        Said::ApprovalSought(sought) => {
            let question = sought.question;
            if let Some(settled) = approve_here(registry, sought).await {
                let settled = Said::ApprovalSettled(to_settled(question, settled));
                if let Err(error) = say(registry, settled).await {
                    warn!(%error, "another registry could not be told what became of an approval");
                }
            }
        }
        Said::TryCounted(tried) if tried.registry == registry.notes.own => {}
        Said::TryCounted(tried) => {
            if let Some(tried) = from_tried(&tried) {
                registry.accounts.count(tried, registry.now().running);
            }
        }
        Said::ApprovalSettled(settled) => {
            let question = settled.question;
            if let Some(answer) = from_settled(settled) {
                registry.notes.settle(question, answer);
            }
        }
    }
}

/// What becomes of a device that is to be approved; none where none waits here with the code.
async fn approve_here(registry: &Registry, sought: v1::ApprovalSought) -> Option<Settled> {
    let user = UserName::new(&sought.user).ok()?;
    let by = DeviceId(sought.by.as_ref().try_into().ok()?);
    let is_it = |code| registry.notes.seal_code(user.key(), code)[..] == sought.sealed_code[..];
    let approved = registry.accounts.approve_for(&user, by, is_it, registry.now()).await?;
    let settled = approved.map(Approved::from).map_err(account_status);
    if let Ok(approved) = &settled {
        info!(%user, device = %approved.device, %by, "device approved at another registry");
    }
    Some(settled)
}

async fn say(registry: &Registry, said: Said) -> Result<(), EngineError> {
    let said = v1::RegistryNote { note: Some(said) };
    let note = registry.notes.seal(&said.encode_to_vec()).ok_or(EngineError::Muddled)?;
    registry.engine.say(note).await
}

fn to_settled(question: u64, settled: Settled) -> v1::ApprovalSettled {
    let mut message = v1::ApprovalSettled {
        question,
        ..Default::default()
    };
    match settled {
        Ok(approved) => {
            message.device = approved.device.0.to_vec().into();
            message.label = approved.label.as_str().to_owned();
        }
        Err(status) => {
            message.status = status.code().into();
            message.message = status.message().to_owned();
        }
    }
    message
}

fn from_settled(settled: v1::ApprovalSettled) -> Option<Settled> {
    Some(match Code::from(settled.status) {
        Code::Ok => Ok(Approved {
            device: DeviceId(settled.device.as_ref().try_into().ok()?),
            label: DeviceLabel::new(&settled.label),
        }),
        code => Err(Status::new(code, settled.message)),
    })
}

fn to_tried(registry: u64, tried: &Tried) -> v1::TryCounted {
    let (kind, account, from) = match &tried.what {
        What::Password(account, from) => (v1::TryKind::Password, &**account, Some(from)),
        What::NewName(from) => (v1::TryKind::NewName, "", Some(from)),
        What::Code(account) => (v1::TryKind::Code, &**account, None),
    };
    v1::TryCounted {
        registry,
        kind: kind.into(),
        account: account.to_owned(),
        host: from.map(|from| from.address().to_string()).unwrap_or_default(),
        was_right: tried.was_right,
    }
}

fn from_tried(tried: &v1::TryCounted) -> Option<Tried> {
    // As its key, whoever said it.
    let account = || Some(Arc::from(UserName::new(&tried.account).ok()?.key()));
    let from = || Some(Origin::new(tried.host.parse().ok()?));
    let what = match tried.kind() {
        v1::TryKind::Unspecified => return None,
        v1::TryKind::Password => What::Password(account()?, from()?),
        v1::TryKind::NewName => What::NewName(from()?),
        v1::TryKind::Code => What::Code(account()?),
    };
    let was_right = tried.was_right;
    Some(Tried { what, was_right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_passes() {
        let alice = || Arc::from("alice");
        for what in [
            What::Password(alice(), Origin::new([192, 0, 2, 1].into())),
            What::NewName(Origin::new("2001:db8::5".parse().unwrap())),
            What::Code(alice()),
        ] {
            for tried in [Tried::counted(what.clone()), Tried::right(what.clone())] {
                let said = to_tried(7, &tried);
                assert_eq!(from_tried(&said), Some(tried));
                let senseless = v1::TryCounted {
                    kind: 0,
                    ..said.clone()
                };
                assert_eq!(from_tried(&senseless), None);
            }
        }
        let nowhere = v1::TryCounted {
            kind: v1::TryKind::NewName.into(),
            host: "here".to_owned(),
            ..Default::default()
        };
        assert_eq!(from_tried(&nowhere), None);
    }

    #[test]
    fn a_code_is_not_told_as_wrong_while_a_cluster_may_decide() {
        assert!(DECISION_WAIT < APPROVAL_WAIT);
        let told = silence();
        assert_eq!(told.code(), Code::NotFound);
        assert!(told.message().contains("within 4.5 s"), "{told}");
    }

    #[test]
    fn another_registry_is_waited_for_no_longer_than_the_call_may_take() {
        let began = Instant::now();
        assert_eq!(answered_until(began, began), began + APPROVAL_WAIT);
        let late = began + Duration::from_secs(3);
        assert_eq!(answered_until(began, late), began + CALL_DEADLINE - ANSWER_TIME);
    }

    #[test]
    fn what_became_of_an_approval_passes() {
        let label = DeviceLabel::new("phone");
        let device = DeviceId([3; 32]);
        let approved = to_settled(1, Ok(Approved { device, label }));
        let read = from_settled(approved.clone()).unwrap().unwrap();
        assert_eq!((read.device, read.label.as_str()), (device, "phone"));
        let short = v1::ApprovalSettled {
            device: vec![3; 31].into(),
            ..approved
        };
        assert!(from_settled(short).is_none());
        let refused = to_settled(1, Err(Status::resource_exhausted("too many")));
        let read = from_settled(refused).unwrap().unwrap_err();
        assert_eq!((read.code(), read.message()), (Code::ResourceExhausted, "too many"));
    }
}
