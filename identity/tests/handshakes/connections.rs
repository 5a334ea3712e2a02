//! Connections that say nothing, are one too many, or come to a closed entrance.

use super::*;

#[tokio::test]
async fn a_caller_without_tls_is_sent_away_and_one_that_says_nothing_too() {
    let authority = Authority::new();
    let bob = Device::new(&authority, "bob", SystemTime::now() + hours(1));
    let short = Limits {
        handshake_timeout: Duration::from_millis(50),
        ..LIMITS
    };
    let server = Server::start(bob.server(), short).await;
    for said in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        // An alert may come before the end; an answer of HTTP does not.
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
        assert!(heard.len() < 16, "{heard:?}");
    }
    assert_eq!(server.refused.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_connection_that_stays_silent_or_is_one_too_many_ends() {
    let authority = Authority::new();
    let later = SystemTime::now() + hours(1);
    let (alice, bob) = (
        Device::new(&authority, "alice", later),
        Device::new(&authority, "bob", later),
    );
    let one = Limits {
        connections_max: 1,
        preface_timeout: Duration::from_millis(20),
        ..LIMITS
    };
    let mut server = Server::start(bob.server(), one).await;
    let address = server.address.to_string();
    let name = || tls::device_name(&bob.key.public());
    let _first = connect(&address, name(), alice.client()).await.unwrap();
    let mut held = server.connection().await;
    let kept = held.connect_info().place.keep();
    connect(&address, name(), alice.client())
        .await
        .expect_err("one is the most");
    drop(kept);
    let error = held.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(held);
    let _third = connect(&address, name(), alice.client()).await.unwrap();
    let mut third = server.connection().await;
    server.severed.cancel();
    let error = third.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn an_idle_connection_ends_for_a_newcomer_and_one_that_is_kept_does_not() {
    let authority = Authority::new();
    let later = SystemTime::now() + hours(1);
    let (alice, bob) = (
        Device::new(&authority, "alice", later),
        Device::new(&authority, "bob", later),
    );
    let two = Limits {
        connections_max: 2,
        ..LIMITS
    };
    let mut server = Server::start(bob.server(), two).await;
    let address = server.address.to_string();
    let connect = || connect(&address, tls::device_name(&bob.key.public()), alice.client());
    let _first = connect().await.unwrap();
    let held = server.connection().await;
    let _kept = held.connect_info().place.keep();
    let _second = connect().await.unwrap();
    let mut idle = server.connection().await;
    let _third = connect().await.unwrap();
    let mut third = server.connection().await;
    let error = idle.write_all(b"too late").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let error = idle.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    third.write_all(b"here").await.unwrap();
}

#[tokio::test]
async fn at_a_closed_entrance_nobody_listens_and_those_who_are_in_stay() {
    let authority = Authority::new();
    let bob = Device::new(&authority, "bob", SystemTime::now() + hours(1));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closing, severed) = (CancellationToken::new(), CancellationToken::new());
    let entrance = Entrance::behind(listener, Vec::new()).until(closing.clone());
    let config = bob.server();
    let config = move || Some(Arc::clone(&config));
    let mut connections = accept(entrance, LIMITS, config, |_| {}, severed.clone());
    let name = tls::device_name(&bob.key.public());
    let mut inside = connect(&address.to_string(), name, bob.client()).await.unwrap();
    let mut served = connections.next().await.unwrap().unwrap();
    closing.cancel();
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed)
        .await
        .expect("nobody listens");
    inside.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    served.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}
