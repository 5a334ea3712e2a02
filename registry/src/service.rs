//! The wire: calls of `RoutingService` become calls of the table, and its answers become messages and statuses; `accounts` does the
//! same for `AccountService`, `watch` for the one stream of a peer, and `convert` translates; `sharing` is what registries of one site do for
//! each other. Only here generated types are known;
//! everything that comes in is checked and goes on in types that are valid by construction. Who calls is said by the connection, and
//! by no message.

mod accounts;
mod convert;
pub(crate) mod ending;
pub(crate) mod sharing;
mod watch;

use std::{
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use peerchat_identity::accept::Caller;
use peerchat_proto::{
    names::{RoomName, UserName},
    v1::{
        self,
        account_service_server::{self, AccountServiceServer},
        routing_service_server::{self, RoutingService, RoutingServiceServer},
    },
};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use self::accounts::account_status;
use self::{
    convert::{lease_token, name_status, room_name, user_name, wire_peer},
    watch::{WatchStream, follow},
};
use crate::{
    address::Address,
    engine::EngineError,
    registry::Registry,
    routes::{DeviceId, LeaseToken, Peer, Refusal, limits},
};

/// How long a call may take, and how long a `Watch` may wait for its first request.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// The most bytes of a request: what it takes to name all users that a peer may watch at once, four bytes a character.
const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// The calls of both services.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    registry: Arc<Registry>,
}

impl Service {
    /// The names of the services, as health checks use them.
    pub(crate) const ROUTING: &str = routing_service_server::SERVICE_NAME;
    pub(crate) const ACCOUNTS: &str = account_service_server::SERVICE_NAME;

    /// The routing service of this registry, ready for a server.
    pub(crate) fn routing(registry: &Arc<Registry>) -> RoutingServiceServer<Self> {
        let registry = Arc::clone(registry);
        RoutingServiceServer::new(Self { registry }).max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    /// The account service of this registry, ready for a server.
    pub(crate) fn accounts(registry: &Arc<Registry>) -> AccountServiceServer<Self> {
        let registry = Arc::clone(registry);
        AccountServiceServer::new(Self { registry }).max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    /// The lease that a request names, after making sure that the caller's device holds it; and whose it is.
    async fn lease<T>(&self, request: &Request<T>, lease: &[u8]) -> Result<(LeaseToken, DeviceId, UserName), Status> {
        let (device, _) = caller(request)?;
        let lease = lease_token(lease)?;
        let user = self.registry.engine.user_of(lease, device).await?;
        Ok((lease, device, user))
    }
}

impl Service {
    /// The name of a user as it is shown, if there is an account of it.
    async fn known(&self, user: &UserName, caller: DeviceId) -> Result<Option<UserName>, Status> {
        let now = self.registry.now().wall;
        let shown = self.registry.accounts.shown(user, caller, now).await;
        shown.map_err(account_status)
    }
}

/// The device whose key the caller has proved to hold, and from where it calls.
fn caller<T>(request: &Request<T>) -> Result<(DeviceId, IpAddr), Status> {
    let caller = request.extensions().get::<Caller>();
    let found = caller.and_then(|caller| Some((DeviceId(caller.device?), caller.address.ip())));
    found.ok_or_else(|| Status::unauthenticated("show a certificate of the device's Ed25519 key"))
}

/// The time, for callers who judge certificates.
fn time_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RoutingService for Service {
    type WatchStream = WatchStream;

    async fn log_in(&self, request: Request<v1::LogInRequest>) -> Answer<v1::LogInResponse> {
        let (device, from) = caller(&request)?;
        let mut request = request.into_inner();
        let address = Address::new(&request.address, Some(from))
            .and_then(|address| {
                address.may_be_told(self.registry.settings.allows_link_local)?;
                Ok(address)
            })
            .map_err(|error| Status::invalid_argument(format!("`address`: {error}")))?;
        let admission = self.admit(device, from, &mut request).await?;
        let user = admission.user.clone();
        let peer = Peer {
            user: admission.user,
            device,
            address,
        };
        let address = peer.address.to_string();
        let lease = self.registry.engine.log_in(peer).await?;
        let certificate = match self.certify(device, &user).await {
            Ok(certificate) => certificate,
            Err(status) => {
                // It may have ended already.
                let _ = self.registry.engine.log_out(lease).await;
                return Err(status);
            }
        };
        let Registry {
            authority, settings, ..
        } = &*self.registry;
        let folder = settings
            .folder
            .as_deref()
            .filter(|_| settings.is_hosted && from.is_loopback());
        Ok(Response::new(v1::LogInResponse {
            lease: lease.0.to_vec().into(),
            lease_ms: u32::try_from(limits::LEASE.0).unwrap_or(u32::MAX),
            address,
            certificate: certificate.into(),
            authority: authority.trust().authority().to_vec().into(),
            folder: folder.and_then(Path::to_str).unwrap_or_default().to_owned(),
            is_new_account: admission.is_new_user,
            time_ms: time_ms(),
        }))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Answer<v1::RenewCertificateResponse> {
        let (_, device, user) = self.lease(&request, &request.get_ref().lease).await?;
        let certificate = self.certify(device, &user).await?;
        Ok(Response::new(v1::RenewCertificateResponse {
            certificate: certificate.into(),
            time_ms: time_ms(),
        }))
    }

    async fn log_out(&self, request: Request<v1::LogOutRequest>) -> Answer<v1::LogOutResponse> {
        let (lease, ..) = self.lease(&request, &request.get_ref().lease).await?;
        self.registry.engine.log_out(lease).await?;
        Ok(Response::new(v1::LogOutResponse {}))
    }

    async fn find(&self, request: Request<v1::FindRequest>) -> Answer<v1::FindResponse> {
        let (lease, device, _) = self.lease(&request, &request.get_ref().lease).await?;
        let user = user_name(&request.get_ref().user)?;
        let found = self.registry.engine.find(lease, user.clone()).await;
        let (user, peers) = match found {
            Ok(found) => (found.user, found.peers),
            // The table forgets who is not there; the accounts do not.
            Err(EngineError::Refused(Refusal::UnknownUser(user))) => match self.known(&user, device).await? {
                Some(shown) => (shown, Vec::new()),
                None => return Err(Refusal::UnknownUser(user).into()),
            },
            Err(error) => return Err(error.into()),
        };
        Ok(Response::new(v1::FindResponse {
            user: user.shown().to_owned(),
            peers: peers.iter().map(wire_peer).collect(),
        }))
    }

    async fn join_room(&self, request: Request<v1::JoinRoomRequest>) -> Answer<v1::JoinRoomResponse> {
        let (lease, ..) = self.lease(&request, &request.get_ref().lease).await?;
        let room = room_name(&request.get_ref().room)?;
        let joined = self.registry.engine.join_room(lease, room).await?;
        Ok(Response::new(v1::JoinRoomResponse {
            created: joined.created,
            members: joined.members.iter().map(wire_peer).collect(),
        }))
    }

    async fn leave_room(&self, request: Request<v1::LeaveRoomRequest>) -> Answer<v1::LeaveRoomResponse> {
        let (lease, ..) = self.lease(&request, &request.get_ref().lease).await?;
        let room = room_name(&request.get_ref().room)?;
        let dismissed = self.registry.engine.leave_room(lease, room).await?;
        Ok(Response::new(v1::LeaveRoomResponse { dismissed }))
    }

    async fn list_rooms(&self, request: Request<v1::ListRoomsRequest>) -> Answer<v1::ListRoomsResponse> {
        let (lease, ..) = self.lease(&request, &request.get_ref().lease).await?;
        let request = request.get_ref();
        let after = match request.after.as_str() {
            "" => None,
            after => Some(RoomName::new(after).map_err(|error| name_status("room", &error))?),
        };
        let page = match request.page_size {
            0 => limits::PAGE_MAX,
            size => usize::try_from(size).unwrap_or(limits::PAGE_MAX),
        };
        let page = self.registry.engine.list_rooms(lease, after, page).await?;
        let wire_room = |(name, members): (RoomName, usize)| v1::Room {
            name: name.as_str().to_owned(),
            members: u32::try_from(members).unwrap_or(u32::MAX),
        };
        Ok(Response::new(v1::ListRoomsResponse {
            rooms: page.rooms.into_iter().map(wire_room).collect(),
            more: page.more,
        }))
    }

    async fn watch(&self, request: Request<Streaming<v1::WatchRequest>>) -> Answer<WatchStream> {
        // The answer's head goes out before the first request is here: some clients send nothing until they have it.
        let (device, _) = caller(&request)?;
        let place = request.extensions().get::<Caller>().map(|caller| caller.place.clone());
        let (open, opening) = oneshot::channel();
        let follow = follow(Arc::clone(&self.registry), device, place, request.into_inner(), open);
        tokio::spawn(follow);
        Ok(Response::new(WatchStream::Opening(opening)))
    }
}
