//! Counting the calls that are refused since they break a rule. What a caller says of itself in a call is not proven, so no member is
//! blamed for it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use tonic::{
    Code, Status,
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

use crate::driver::refusals::Refusals;

/// A service whose refusals are counted, those of its codec included.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    service: S,
    refusals: Refusals,
}

impl<S> Counted<S> {
    pub(super) fn new(service: S, refusals: Refusals) -> Self {
        Self { service, refusals }
    }
}

impl<S: NamedService> NamedService for Counted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Counted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.service.call(request);
        let refusals = self.refusals.clone();
        Box::pin(async move {
            let response = answer.await?;
            if let Some(status) = Status::from_header_map(response.headers()) {
                count(&refusals, &status);
            }
            Ok(response)
        })
    }
}

/// Counts a call that ended with a status, if it was the caller's fault. That an address leads to another device by now is nobody's.
pub(super) fn count(refusals: &Refusals, status: &Status) {
    use Code::{DeadlineExceeded, Internal, InvalidArgument, OutOfRange, PermissionDenied, Unimplemented};
    let caller_is_wrong = matches!(
        status.code(),
        DeadlineExceeded | Internal | InvalidArgument | OutOfRange | PermissionDenied | Unimplemented
    );
    if caller_is_wrong {
        refusals.unknown(&format!("a call was refused: {}", status.message()));
    }
}
