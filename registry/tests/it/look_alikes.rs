//! Names that cannot be told apart.

use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn nobody_gets_a_name_that_cannot_be_told_from_another() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start_in(folder.path());
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let forty: String = (0..40).filter_map(|n| char::from_u32(0x300 + n)).collect();
    let invisible = [
        "alice\u{fe0f}",
        "alice\u{e0100}",
        "alice\u{2800}",
        "alice\u{3164}",
        "ali\u{2062}ce",
        "alice\u{f8ff}",
        "alice\u{fdd0}",
        "alice\u{1d159}",
    ];
    let crowded = format!("alic{forty}e");
    for name in invisible.into_iter().chain([crowded.as_str()]) {
        let (code, text) = refused(Caller::try_log_in(&registry, 2, login(name, "127.0.0.1:1")).await);
        assert_eq!(code, Code::InvalidArgument, "{name:?}");
        assert!(text.contains("U+"), "{text}");
    }
    for name in [
        "аlice",
        "ａlice",
        "ａｌｉｃｅ",
        "𝐚lice",
        "𝒶𝓁𝒾𝒸ℯ",
        "aIice",
        "al\u{456}ce",
    ] {
        let (code, text) = refused(Caller::try_log_in(&registry, 2, login(name, "127.0.0.1:1")).await);
        assert_eq!(code, Code::InvalidArgument, "{name:?}");
        assert!(text.contains("looks like alice"), "{text}");
    }
    for (name, key) in [
        ("Привет", 3),
        ("小明", 4),
        ("Zoë", 5),
        ("שָׁלוֹם", 6),
        ("น้ำผึ้ง", 7),
        ("👩\u{200d}💻", 8),
    ] {
        Caller::log_in(&registry, name, key).await;
    }
    for room in ["lobby\u{fe0f}", "lob\u{2800}by", "\u{200d}🦀"] {
        assert_eq!(refused(alice.join(room).await).0, Code::InvalidArgument, "{room:?}");
    }
    registry.stop().await;
    // Whoever has a name keeps it.
    let registry = Registry::start_in(folder.path());
    assert!(!Caller::log_in(&registry, "Alice", 1).await.answer.is_new_account);
    let refusal = refused(Caller::try_log_in(&registry, 2, login("аlice", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::InvalidArgument);
}
