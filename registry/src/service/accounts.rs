//! Accounts on the wire: who is let in, and the calls of `AccountService`.

use std::{
    error::Error,
    mem,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use peerchat_proto::{
    names::UserName,
    v1::{self, account_service_server::AccountService, link_device_response::Step},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use tracing::{error, info, warn};

use zeroize::Zeroizing;

use super::{
    Answer, Service, caller,
    convert::{device_id, user_name},
    sharing::{self, Approved},
};
use crate::{
    accounts::{
        AccountError, Admission, Arrival, Asked, DeviceLabel, WallTime,
        invite::Invite,
        linking::{self, Ticket},
        password::{HashError, Password},
        rules::{DeviceState, Refusal},
        store::StoreError,
    },
    engine::EngineError,
    routes::{AttemptOutcome, DeviceId, Millis},
};

impl Service {
    /// Lets a caller in as the user that he says he is, or not; and tells that user's devices of it.
    pub(super) async fn admit(
        &self,
        device: DeviceId,
        from: IpAddr,
        request: &mut v1::LogInRequest,
    ) -> Result<Admission, Status> {
        let name = user_name(&request.user)?;
        let password = match secret(&mut request.password) {
            typed if typed.is_empty() => None,
            typed => Some(password(&typed)?),
        };
        let invite = match request.invitation.as_str() {
            "" => None,
            typed => Some(
                typed
                    .parse::<Invite>()
                    .map_err(|error| Status::invalid_argument(error.to_string()))?
                    .hash(),
            ),
        };
        let arrival = Arrival {
            name: &name,
            device,
            label: &DeviceLabel::new(&request.label),
            password: password.as_ref(),
            invite,
            from,
        };
        let admitted = self.registry.accounts.admit(&arrival, self.registry.now()).await;
        if let Err(AccountError::Refused(refusal)) = &admitted
            && refusal.is_of_a_new_user()
        {
            let refused = format!("{name} at {from} was not taken as a new user: {refusal}");
            self.registry.refusals.tell(&refused);
        }
        let outcome = match &admitted {
            Ok(admission) if admission.is_new_device && !admission.is_new_user => Some(AttemptOutcome::Added),
            Err(AccountError::Refused(Refusal::NameTaken { .. })) => Some(AttemptOutcome::Refused),
            Err(AccountError::Refused(Refusal::WrongPassword)) => Some(AttemptOutcome::WrongPassword),
            _ => None,
        };
        if let Some(outcome) = outcome {
            self.tell_attempt(&name, device, from, outcome).await;
        }
        admitted.map_err(account_status)
    }

    /// Tells a user's devices, and the log, of a device that is none of them.
    async fn tell_attempt(&self, user: &UserName, device: DeviceId, from: IpAddr, outcome: AttemptOutcome) {
        let costs_nothing = matches!(outcome, AttemptOutcome::Refused | AttemptOutcome::Waits);
        if costs_nothing && !self.registry.accounts.is_told(user, self.registry.now()) {
            return;
        }
        info!(%user, %device, %from, ?outcome, "a device that is new to the account");
        let told = self
            .registry
            .engine
            .tell_attempt(user.clone(), device, from, outcome)
            .await;
        if let Err(error) = told {
            warn!(%user, %device, %error, "the account's devices could not be told");
        }
    }

    /// A certificate for a device that has a lease, unless it was revoked after it was let in: whoever revokes it stores that first,
    /// and then ends the lease that it finds.
    pub(super) async fn certify(&self, device: DeviceId, user: &UserName) -> Result<Vec<u8>, Status> {
        let now = self.registry.now().wall;
        let state = self.registry.accounts.state(user, device, now).await;
        match state.map_err(account_status)? {
            DeviceState::Live => {}
            DeviceState::Revoked => return Err(account_status(Refusal::DeviceRevoked.into())),
            DeviceState::Unknown | DeviceState::OfAnother => return Err(account_status(Refusal::NotADevice.into())),
        }
        let lifetime = self.registry.settings.certificate_lifetime;
        let issued = self
            .registry
            .authority
            .issue(&device.0, user, lifetime, SystemTime::now());
        match issued {
            Ok(certificate) => Ok(certificate.to_vec()),
            Err(error) => {
                error!(error = &error as &dyn Error, "cannot issue a certificate");
                Err(Status::internal(
                    "the registry cannot issue a certificate; its log says why",
                ))
            }
        }
    }
}

#[tonic::async_trait]
impl AccountService for Service {
    type LinkDeviceStream = ReceiverStream<Result<v1::LinkDeviceResponse, Status>>;

    async fn list_devices(&self, request: Request<v1::ListDevicesRequest>) -> Answer<v1::ListDevicesResponse> {
        let (_, own, user) = self.lease(&request, &request.get_ref().lease).await?;
        let devices = self.registry.accounts.devices(&user).await.map_err(account_status)?;
        let accounts = &self.registry.accounts;
        let found = accounts
            .find(&user, own, self.registry.now().wall)
            .await
            .map_err(account_status)?;
        let online = self
            .registry
            .engine
            .live(devices.iter().map(|device| device.device).collect())
            .await?;
        let valid = devices.into_iter().filter(|device| device.revoked.is_none());
        let devices = valid.map(|device| v1::Device {
            device: device.device.0.to_vec().into(),
            added_at_ms: milliseconds(device.added),
            seen_at_ms: milliseconds(device.seen),
            is_online: online.contains(&device.device),
            is_caller: device.device == own,
            label: device.label.as_str().to_owned(),
        });
        Ok(Response::new(v1::ListDevicesResponse {
            devices: devices.collect(),
            has_password: found.password.is_some(),
        }))
    }

    async fn revoke_device(&self, request: Request<v1::RevokeDeviceRequest>) -> Answer<v1::RevokeDeviceResponse> {
        let (_, own, user) = self.lease(&request, &request.get_ref().lease).await?;
        let device = device_id(&request.get_ref().device)?;
        let registry = Arc::clone(&self.registry);
        to_its_end(async move {
            let revoked = registry.accounts.revoke(&user, own, device, registry.now().wall).await;
            let is_new = revoked.map_err(account_status)?;
            // Who is told again and again of the same one is only disturbed.
            if is_new || registry.engine.is_live(device).await? {
                info!(%user, %device, by = %own, "device revoked");
                registry.engine.revoke(device).await?;
            }
            Ok(Response::new(v1::RevokeDeviceResponse {}))
        })
        .await
    }

    async fn set_password(&self, mut request: Request<v1::SetPasswordRequest>) -> Answer<v1::SetPasswordResponse> {
        let typed = secret(&mut request.get_mut().password);
        let (_, own, user) = self.lease(&request, &request.get_ref().lease).await?;
        let password = password(&typed)?;
        let accounts = &self.registry.accounts;
        accounts
            .set_password(&user, own, &password, self.registry.now().wall)
            .await
            .map_err(account_status)?;
        info!(%user, by = %own, "password set");
        Ok(Response::new(v1::SetPasswordResponse {}))
    }

    async fn link_device(&self, request: Request<v1::LinkDeviceRequest>) -> Answer<Self::LinkDeviceStream> {
        let (device, from) = caller(&request)?;
        let request = request.into_inner();
        let name = user_name(&request.user)?;
        let arrival = Arrival {
            name: &name,
            device,
            label: &DeviceLabel::new(&request.label),
            password: None,
            invite: None,
            from,
        };
        let asked = self.registry.accounts.ask_to_link(&arrival, self.registry.now()).await;
        let (steps, answer) = mpsc::channel(2);
        match asked.map_err(account_status)? {
            // Nobody waits where this fails, and then the stream ends.
            Asked::IsIn => drop(steps.try_send(Ok(step(Step::Approved(v1::LinkApproved {}))))),
            Asked::Waits(ticket) => {
                self.tell_attempt(&name, device, from, AttemptOutcome::Waits).await;
                tokio::spawn(self.clone().wait_for_approval(name, device, ticket, steps));
            }
        }
        Ok(Response::new(ReceiverStream::new(answer)))
    }

    async fn approve_device(&self, request: Request<v1::ApproveDeviceRequest>) -> Answer<v1::ApproveDeviceResponse> {
        let began = Instant::now();
        let (_, own, user) = self.lease(&request, &request.get_ref().lease).await?;
        let code = request.get_ref().code.parse::<linking::Code>();
        let code = code.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let registry = Arc::clone(&self.registry);
        to_its_end(async move {
            let approved = registry.accounts.approve(&user, own, code, registry.now()).await;
            let approved = match approved {
                Err(AccountError::NotApproved(linking::NotApproved::Unknown)) => {
                    sharing::approve_elsewhere(&registry, began, &user, own, code).await?
                }
                approved => approved.map(Approved::from).map_err(account_status)?,
            };
            info!(%user, device = %approved.device, by = %own, "device approved");
            Ok(Response::new(v1::ApproveDeviceResponse {
                device: approved.device.0.to_vec().into(),
                label: approved.label.as_str().to_owned(),
            }))
        })
        .await
    }
}

impl Service {
    async fn wait_for_approval(
        self,
        user: UserName,
        device: DeviceId,
        ticket: Ticket,
        steps: mpsc::Sender<Result<v1::LinkDeviceResponse, Status>>,
    ) {
        let accounts = &self.registry.accounts;
        let left = Millis(ticket.ends.0.saturating_sub(self.registry.now().running.0));
        let code = Step::Code(v1::LinkCode {
            code: ticket.code.to_string(),
            valid_ms: u32::try_from(left.0).unwrap_or(u32::MAX),
        });
        // Where nobody reads it any more, nobody waits either.
        let _ = steps.send(Ok(step(code))).await;
        let end = tokio::select! {
            () = steps.closed() => {
                accounts.give_up(&ticket);
                return;
            }
            () = sleep(Duration::from_millis(left.0)) => {
                accounts.give_up(&ticket);
                Err(Status::deadline_exceeded("nobody approved the device in time; ask for another code"))
            }
            () = accounts.waited(&ticket) => {
                match accounts.state(&user, device, self.registry.now().wall).await {
                    Ok(DeviceState::Live) => Ok(step(Step::Approved(v1::LinkApproved {}))),
                    Ok(_) if self.registry.engine.is_closed() => Err(EngineError::ShuttingDown.into()),
                    Ok(_) => Err(Status::aborted("this device has asked again; its newer stream tells the answer")),
                    Err(error) => Err(account_status(error)),
                }
            }
        };
        // Where nobody waits any more, the device logs in another time.
        let _ = steps.send(end).await;
    }
}

fn step(step: Step) -> v1::LinkDeviceResponse {
    v1::LinkDeviceResponse { step: Some(step) }
}

/// Does something that must not be left half done when its caller goes away or its time is up.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(_) => Err(EngineError::ShuttingDown.into()),
    }
}

/// Takes a secret out of a message, to be wiped from memory.
fn secret(field: &mut String) -> Zeroizing<String> {
    Zeroizing::new(mem::take(field))
}

fn password(typed: &str) -> Result<Arc<Password>, Status> {
    let password = Password::new(typed).map_err(|error| Status::invalid_argument(format!("the password: {error}")))?;
    Ok(Arc::new(password))
}

fn milliseconds(time: WallTime) -> i64 {
    i64::try_from(time.0.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// What the caller is told of an account that says no. What broke inside is for the operator alone.
pub(crate) fn account_status(error: AccountError) -> Status {
    let code = match &error {
        AccountError::Refused(refusal) => match refusal {
            Refusal::NameTaken { .. } => Code::AlreadyExists,
            Refusal::NotADevice | Refusal::NoSuchUser => Code::NotFound,
            Refusal::TooManyDevices => Code::ResourceExhausted,
            Refusal::LastDevice => Code::FailedPrecondition,
            _ => Code::PermissionDenied,
        },
        AccountError::Name(_) | AccountError::Store(StoreError::LooksLike(_)) => Code::InvalidArgument,
        AccountError::Wait(_)
        | AccountError::NoRoom(_)
        | AccountError::NotApproved(linking::NotApproved::TooManyTries(_))
        | AccountError::Store(StoreError::TooManyInvites(_)) => Code::ResourceExhausted,
        AccountError::NotApproved(linking::NotApproved::Unknown) => Code::NotFound,
        AccountError::Hash(HashError::Busy) => Code::Unavailable,
        AccountError::Hash(_) | AccountError::NoRandomness => {
            error!(error = &error as &dyn Error, "a password cannot be looked at");
            Code::Unavailable
        }
        // Said once in the log, when it begins.
        AccountError::Store(StoreError::Away) | AccountError::Undecided(_) => Code::Unavailable,
        AccountError::Store(error) => {
            error!(error = error as &dyn Error, "the accounts cannot be used");
            return Status::unavailable("the registry cannot use its accounts; its log says why");
        }
    };
    Status::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, Settings};

    #[test]
    fn too_many_invites_are_no_trouble_of_the_database() {
        let status = account_status(AccountError::Store(StoreError::TooManyInvites(7)));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("7 open invites"), "{}", status.message());
    }

    /// Between the moment at which somebody is let in and the one at which he has a lease there is time to revoke his device.
    #[tokio::test]
    async fn a_device_that_was_revoked_meanwhile_is_not_certified() {
        let registry = Arc::new(Registry::open(Settings::in_memory()).await.unwrap());
        let service = Service {
            registry: Arc::clone(&registry),
        };
        let from = [127, 0, 0, 1].into();
        let request = |password: &str| v1::LogInRequest {
            user: "alice".to_owned(),
            password: password.to_owned(),
            ..Default::default()
        };
        let (first, second) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let mut user = None;
        for device in [first, second] {
            let mut request = request("correct horse");
            user = Some(service.admit(device, from, &mut request).await.unwrap().user);
            assert_eq!(request.password, "", "a password stays in no message");
        }
        let user = user.unwrap();
        service.certify(second, &user).await.unwrap();
        let now = registry.now().wall;
        registry.accounts.revoke(&user, first, second, now).await.unwrap();
        let refused = service.certify(second, &user).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        service.certify(first, &user).await.unwrap();
        let refused = service.certify(DeviceId([3; 32]), &user).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
}
