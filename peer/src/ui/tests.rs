//! The pump between the peer, the lines and the output.

use super::{testing::*, *};
use crate::node::event::{Notice, Ready};

const LINES: usize = 500;

fn ready() -> Event {
    Event::Ready(Ready {
        user: user("alice"),
        device: author(1).device,
        listen: String::new(),
        registry: String::new(),
        authority: None,
        first_start: true,
        conversations: Vec::new(),
        current: None,
    })
}

/// Runs the JSON mode over the narrowest channels that there are; what is typed is `lines`, and then the end.
async fn run_json<D: Future<Output = ()>>(
    lines: usize,
    driver: impl FnOnce(mpsc::Receiver<Request>, mpsc::Sender<Event>) -> D,
) -> (Ending, String) {
    let ((requests, requests_out), (events, events_out)) = (mpsc::channel(1), mpsc::channel(1));
    let ((inputs, inputs_out), (output, mut output_out)) = (mpsc::channel(1), mpsc::channel(1));
    let typing = async move {
        for number in 0..lines {
            if inputs.send(Input::Line(number.to_string())).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut text = String::new();
        while let Some(Output::Text(more)) = output_out.recv().await {
            text += &more;
        }
        text
    };
    let join = vec![Door::read("lobby").unwrap()];
    let front = json::JsonFront::new(user("alice"));
    let pumping = pump(requests, events_out, inputs_out, output, front, join);
    let (ending, text, (), ()) = tokio::join!(pumping, reading, typing, driver(requests_out, events));
    (ending, text)
}

#[tokio::test(flavor = "current_thread")]
async fn both_sides_may_have_much_to_say_at_once() {
    let driver = |mut requests: mpsc::Receiver<Request>, events: mpsc::Sender<Event>| async move {
        events.send(ready()).await.unwrap();
        assert!(matches!(requests.recv().await, Some(Request::Join(_))));
        let mut written = 0;
        loop {
            // It answers before it asks for more, as a driver may.
            for _ in 0..3 {
                events.send(Event::Message(line("bob", "hi"))).await.unwrap();
            }
            match requests.recv().await {
                Some(Request::Write { text, .. }) => {
                    assert_eq!(text, written.to_string(), "in the order in which they were typed");
                    written += 1;
                }
                Some(Request::Quit) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(written, LINES);
        events.send(Event::Bye).await.unwrap();
    };
    let (ending, text) = run_json(LINES, driver).await;
    assert_eq!(ending, Ending::Clean);
    assert_eq!(text.lines().count(), 1 + 3 * (LINES + 1) + 1);
    assert!(text.starts_with("{\"event\":\"ready\"") && text.ends_with("{\"event\":\"bye\"}\n"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_end_without_a_bye_or_after_a_failure_is_an_error() {
    let silent = |requests: mpsc::Receiver<Request>, events: mpsc::Sender<Event>| async move {
        events.send(ready()).await.unwrap();
        drop(requests);
    };
    assert_eq!(run_json(3, silent).await.0, Ending::Failed);
    let failing = |_requests: mpsc::Receiver<Request>, events: mpsc::Sender<Event>| async move {
        events.send(ready()).await.unwrap();
        let notice = Notice {
            code: Code::DiskFailed,
            message: "full".into(),
        };
        events.send(Event::Notice(notice)).await.unwrap();
        events.send(Event::Bye).await.unwrap();
    };
    assert_eq!(run_json(3, failing).await.0.exit_code(), 1);
}
