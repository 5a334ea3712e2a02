//! Flags, config file and defaults, put together.

use super::{file::parse, *};
use std::{collections::BTreeSet, path::Path};

use clap::CommandFactory as _;

fn parsed(text: &str) -> Result<File, ConfigError> {
    parse(Path::new("/etc/config.toml"), text)
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let text = "name = 'filed'\nregistry = 'h:1'\nregistry-choice = 'spread'\nlisten = '0.0.0.0:5'\ndata = '/d'\njoin = ['a', '#b']\n\
                advertise = 'h:2'\njson = true\nno-host-registry = true";
    let config = merge(cli::Chat::default(), parsed(text).unwrap(), Some("system".into())).unwrap();
    assert_eq!(config.user.shown(), "filed");
    assert_eq!(
        (config.registries.join(","), config.listen.as_str()),
        ("h:1".to_owned(), "0.0.0.0:5")
    );
    assert_eq!(config.registry_choice, RegistryChoice::Spread);
    assert_eq!(config.data, Path::new("/d"));
    assert_eq!(config.join, ["a", "b"].map(|room| Door::read(room).unwrap()));
    assert!(config.json && !config.host_registry);

    let typed = cli::Chat {
        name: Some("typed".into()),
        registry: vec!["h:9,h:8".into(), "h:7".into()],
        registry_choice: Some("first".into()),
        join: vec!["lobby".into()],
        ..cli::Chat::default()
    };
    let config = merge(typed, parsed(text).unwrap(), None).unwrap();
    assert_eq!(config.user.shown(), "typed");
    assert_eq!(config.registries, ["h:9", "h:8", "h:7"]);
    assert_eq!(config.registry_choice, RegistryChoice::First);
    assert_eq!(config.join, [Door::read("lobby").unwrap()]);

    let typed = cli::Chat {
        data: Some("/x".into()),
        ..cli::Chat::default()
    };
    let config = merge(typed, File::default(), Some("system".into())).unwrap();
    assert_eq!(config.user.shown(), "system");
    assert_eq!(
        (config.registries.join(",").as_str(), config.listen.as_str()),
        (REGISTRY_DEFAULT, LISTEN_DEFAULT)
    );
    assert!(config.host_registry && !config.json);

    // Also the other way round than a flag alone says.
    for (flags, filed) in [(true, false), (false, true)] {
        let text = format!("json = {filed}\nno-host-registry = {filed}");
        let typed = cli::Chat {
            json: Some(flags),
            no_host_registry: Some(flags),
            ..cli::Chat::default()
        };
        let config = merge(typed, parsed(&text).unwrap(), Some("a".into())).unwrap();
        assert_eq!((config.json, !config.host_registry), (flags, flags));
    }
}

#[test]
fn every_flag_is_a_key_and_every_key_a_flag_or_a_matter_of_taste() {
    let cli = cli::Cli::command();
    let chat = cli.find_subcommand("chat").unwrap();
    let flags = chat
        .get_arguments()
        .map(|argument| argument.get_id().as_str().replace('_', "-"));
    let flags: BTreeSet<String> = flags.chain(["bell".to_owned()]).collect();
    assert_eq!(flags, file::KEYS.map(str::to_owned).into());
}

#[test]
fn files_with_secrets_can_be_named_in_the_file() {
    let text = "password-file = '/p'\ninvitation-file = '/i'";
    let config = merge(cli::Chat::default(), parsed(text).unwrap(), Some("a".into())).unwrap();
    assert_eq!(
        (config.password_file.as_deref(), config.invitation_file.as_deref()),
        (Some(Path::new("/p")), Some(Path::new("/i")))
    );
    let typed = cli::Chat {
        invitation_file: Some("/typed".into()),
        ..cli::Chat::default()
    };
    let config = merge(typed, parsed(text).unwrap(), Some("a".into())).unwrap();
    assert_eq!(config.invitation_file.as_deref(), Some(Path::new("/typed")));
}

#[test]
fn a_mistake_in_the_file_names_file_and_key() {
    let message = |text| parsed(text).unwrap_err().to_string();
    assert_eq!(
        message("regsitry = 'h:1'"),
        "/etc/config.toml: there is no key \"regsitry\"; the nearest is \"registry\""
    );
    assert_eq!(
        message("json = 1"),
        "/etc/config.toml: \"json\" must be true or false, not integer"
    );
    assert_eq!(
        message("join = 'a'"),
        "/etc/config.toml: \"join\" must be an array of strings, not string"
    );
    assert_eq!(
        message("registry = 1"),
        "/etc/config.toml: \"registry\" must be a string or an array of strings, not integer"
    );
    assert!(message("name = ").starts_with("/etc/config.toml: TOML parse error at line 1"));

    let file = parsed("registry = 'nowhere'\nname = 'a'").unwrap();
    let error = merge(cli::Chat::default(), file, None).unwrap_err().to_string();
    assert!(
        error.starts_with("registry in /etc/config.toml: \"nowhere\" is no address"),
        "{error}"
    );
}

#[test]
fn addresses_and_names_are_checked() {
    for good in ["h:1", "127.0.0.1:0", "[::1]:10001", "chat.example:65535"] {
        assert!(checked_address(String::new(), good.into()).is_ok(), "{good}");
    }
    for bad in ["", "h", "h:", ":1", "::1:5", "h:65536", "h:x"] {
        assert!(checked_address(String::new(), bad.into()).is_err(), "{bad}");
    }
    let nameless = merge(cli::Chat::default(), File::default(), None);
    assert!(matches!(nameless, Err(ConfigError::NoName)));
    assert!(matches!(conversation("#Lobby"), Ok(ConversationName::Room(room)) if room.as_str() == "lobby"));
    assert!(matches!(conversation("@bob"), Ok(ConversationName::User(_))));
    assert!(matches!(conversation("lobby"), Err(ConfigError::Conversation(_))));
    assert!(matches!(conversation("#a b"), Err(ConfigError::Name { .. })));
}

#[test]
fn no_file_is_an_empty_file() {
    assert!(
        file::read(Some(Path::new("/nonexistent/config.toml")))
            .unwrap()
            .name
            .is_none()
    );
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(file::read(Some(dir.path())), Err(ConfigError::Read { .. })));
}

#[test]
fn several_registries_are_a_list_or_a_string_with_commas() {
    for text in [
        "registry = ['h:1', 'h:2']",
        "registry = 'h:1,h:2'",
        "registry = ['h:1,h:2']",
    ] {
        let config = merge(cli::Chat::default(), parsed(text).unwrap(), Some("a".into())).unwrap();
        assert_eq!(config.registries, ["h:1", "h:2"], "{text}");
    }
    for text in ["registry = []", "registry = ['h:1', '']", "registry = 'h:1,h:1'"] {
        let error = merge(cli::Chat::default(), parsed(text).unwrap(), Some("a".into())).unwrap_err();
        assert!(
            error.to_string().starts_with("registry in /etc/config.toml: "),
            "{error}"
        );
    }
}
