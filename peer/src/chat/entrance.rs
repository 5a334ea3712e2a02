//! Getting in at the registry for the first time of a run: what it refuses is settled with the user, as far as that is possible.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};
use zeroize::Zeroizing;

use super::ChatError;
use crate::{
    known_registries::KnownRegistry,
    net::{Attempts, LoginError, Net, RegistryConfig, link_device},
    ui::entrance::{Answer, Entrance, Obstacle},
};

/// How long the start of a session waits for the registry before it tells for what it waits.
const REGISTRY_QUIET: Duration = Duration::from_secs(1);

/// How long it waits from then on before it goes on without one.
const REGISTRY_WAIT: Duration = Duration::from_secs(9);
/// How often a password may be typed: fewer times than the registry hears before it makes everybody wait.
const PASSWORDS_MAX: u32 = 3;

/// Waits until the registry has let the user in, or does not answer: without a registry the peer starts all the same, for those whom
/// it knows. Answers the address of the registry.
///
/// # Errors
/// The registry refuses, and the user does nothing about it.
pub(super) async fn pass(
    entrance: &mut Entrance,
    attempts: &mut Attempts,
    net: &Net,
    config: &RegistryConfig,
) -> Result<Option<String>, ChatError> {
    let mut is_told = false;
    // So many were typed here.
    let mut passwords = 0;
    loop {
        let mut outcome = timeout(REGISTRY_QUIET, attempts.outcome()).await;
        if outcome.is_err() {
            if !std::mem::replace(&mut is_told, true) {
                entrance.looks_for(&config.addresses)?;
            }
            outcome = timeout(REGISTRY_WAIT, attempts.outcome()).await;
        }
        let refused = match outcome {
            Ok(Some(Err(refused))) => refused,
            Ok(Some(Ok(address))) => return Ok(Some(address)),
            Ok(None) | Err(_) => return Ok(None),
        };
        let obstacle = match &refused {
            LoginError::Unavailable { .. } | LoginError::NoneAnswers(_) => return Ok(None),
            LoginError::Unknown { .. } => Obstacle::UnknownRegistry,
            LoginError::NameInUse(_) => Obstacle::NameTaken,
            LoginError::Barred(_) if passwords > 0 && passwords < PASSWORDS_MAX => Obstacle::NameTaken,
            LoginError::Changed { .. }
            | LoginError::Foreign { .. }
            | LoginError::Elsewhere { .. }
            | LoginError::Barred(_)
            | LoginError::Refused(_) => Obstacle::Other,
        };
        let code = ChatError::login_code(&refused);
        let answer = entrance.ask(obstacle, code, &refused.to_string()).await?;
        let password = match (answer, &refused) {
            (Answer::Trust, LoginError::Unknown { address, found }) => {
                let known = KnownRegistry {
                    fingerprint: *found,
                    folder: None,
                };
                config.known.keep(address, &known)?;
                None
            }
            (Answer::Password(password), _) => {
                passwords += 1;
                Some(Zeroizing::new(password.reveal().to_owned()))
            }
            (Answer::Link, _) => {
                link(entrance, net, config).await?;
                None
            }
            (Answer::Leave | Answer::Trust, _) => return Err(ChatError::NotLetIn(refused)),
        };
        attempts.again(password).await;
    }
}

async fn link(entrance: &Entrance, net: &Net, config: &RegistryConfig) -> Result<(), ChatError> {
    let (code, mut shown) = mpsc::channel(1);
    // Boxed, since it is rarely needed and the deepest of all that a start waits for: the compiler follows only so many levels.
    let mut linking = Box::pin(link_device(net, config, code));
    loop {
        tokio::select! {
            Some(news) = shown.recv() => entrance.show(&news)?,
            linked = &mut linking => return Ok(linked?),
        }
    }
}
