//! What a server of gRPC has before its services, so that it is known over which connections something is asked.

use std::task::{Context, Poll};

use tonic::codegen::{Service, http};
use tower::{Layer, layer::util::Stack};

use super::Caller;

/// What a server becomes with [`NoteCalls`] and nothing else before its services.
pub type Noting = Stack<NoteCalls, tower::layer::util::Identity>;

/// Notes each call, whatever service it is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoteCalls;

impl<S> Layer<S> for NoteCalls {
    type Service = NotedCalls<S>;

    fn layer(&self, service: S) -> NotedCalls<S> {
        NotedCalls(service)
    }
}

/// A service whose calls are noted.
#[derive(Debug, Clone)]
pub struct NotedCalls<S>(S);

impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for NotedCalls<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> S::Future {
        if let Some(caller) = request.extensions().get::<Caller>() {
            caller.place.called();
        }
        self.0.call(request)
    }
}
