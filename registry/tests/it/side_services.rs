//! Health checks and server reflection, as probes and tools use them: they have no device.

use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::*;

const SERVICE: &str = "peerchat.v1.RoutingService";

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn health_says_serving_and_at_the_end_not_serving() {
    let mut registry = Registry::start();
    let mut client = HealthClient::new(registry.nameless_channel().await);
    for service in ["", SERVICE, "peerchat.v1.AccountService", "peerchat.v1.ClusterService"] {
        let answer = client.check(check(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let mut stream = client.watch(check(SERVICE)).await.unwrap().into_inner();
    assert_eq!(
        stream.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    registry.signal("TERM");
    assert_eq!(
        stream.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert_eq!(
        registry.ended().await.code(),
        Some(0),
        "an open health stream holds nothing up"
    );
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let registry = Registry::start();
    let channel = registry.nameless_channel().await;

    let list = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut stream = client
        .server_reflection_info(tokio_stream::once(list))
        .await
        .unwrap()
        .into_inner();
    let answer = format!("{:?}", stream.message().await.unwrap().unwrap());
    assert!(
        answer.contains(SERVICE) && answer.contains("grpc.health.v1.Health"),
        "{answer}"
    );

    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut stream = client
        .server_reflection_info(tokio_stream::once(list))
        .await
        .unwrap()
        .into_inner();
    let answer = stream.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        format!("{answer:?}").starts_with("FileDescriptorResponse"),
        "{answer:?}"
    );
}
