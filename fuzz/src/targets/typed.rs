//! Lines as they are typed at the prompt or sent by scripts.

use peerchat::{
    node::limits::TEXT_BYTES_MAX,
    ui::{
        command::{Command, goes_elsewhere, read},
        session::{Session, Show},
    },
};

use crate::{pens::user, within};

/// Types the lines.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut session = Session::new(user("me"));
    for line in text.split('\n').take(64) {
        within(64 * 1024, 60, line.len(), || {
            match read(line) {
                Ok(Command::Text(said)) => {
                    assert!(said.len() <= TEXT_BYTES_MAX);
                    assert!(line == said || line.strip_prefix('/') == Some(&said), "a text is what was typed");
                }
                Ok(_) => {}
                Err(notice) => assert!(notice.message.len() <= 2_000, "{}", notice.message),
            }
            let _elsewhere = goes_elsewhere(line);
            let typed = session.typed(line);
            assert!(typed.requests.len() <= 4);
            if let Some(Show::Notice(notice)) = typed.show {
                assert!(notice.message.len() <= 2_000, "{}", notice.message);
            }
        });
    }
}

/// Every command.
pub fn seeds() -> Vec<Vec<u8>> {
    let examples = peerchat::ui::command::COMMANDS.iter().flat_map(|spec| spec.examples).map(|(typed, _)| *typed);
    let all: Vec<&str> = examples.collect();
    let mut seeds: Vec<Vec<u8>> = all.chunks(8).map(|some| some.join("\n").into_bytes()).collect();
    seeds.push(b"//text\n/joim lobby\n/msg @Zo\xc3\xab hi\n/switch #plans:x7k2\n/join invite:plans:abc\n/untrust bob ab12\n".to_vec());
    seeds
}
