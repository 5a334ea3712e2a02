//! The command line, as it is typed.

use clap::CommandFactory as _;

use super::*;

/// The command line with these arguments.
fn typed(arguments: &str) -> Result<Config, String> {
    let typed = ["peerchat-registry"].into_iter().chain(arguments.split_whitespace());
    let config = Config::try_parse_from(typed).map_err(|error| error.to_string())?;
    config.check().map(|()| config)
}

#[test]
fn the_command_line_is_sound() {
    Config::command().debug_assert();
    let config = Config::parse_from(["peerchat-registry"]);
    assert_eq!(config.listens_at(), "127.0.0.1:10001");
    assert_eq!(config.data, None);
    assert!(Config::try_parse_from(["peerchat-registry", "--listen", "nowhere"]).is_err());
}

#[test]
fn accounts_and_certificates_are_set_on_the_command_line() {
    let config = Config::parse_from(["peerchat-registry"]);
    assert_eq!(config.registration, Registration::Open);
    assert_eq!(config.certificate_lifetime, Duration::from_secs(12 * 3_600));
    assert!(config.command.is_none());
    let typed = "peerchat-registry --registration closed --certificate-lifetime 30s";
    let config = Config::parse_from(typed.split(' '));
    assert_eq!(config.registration, Registration::Closed);
    assert_eq!(config.certificate_lifetime, Duration::from_secs(30));
    for wrong in [
        "--registration Open",
        "--certificate-lifetime 4s",
        "--certificate-lifetime 8d",
        "invite --expires 0s",
    ] {
        let typed = ["peerchat-registry"].into_iter().chain(wrong.split(' '));
        assert!(Config::try_parse_from(typed).is_err(), "{wrong}");
    }
}

#[test]
fn a_command_names_its_registry_before_or_after_it() {
    for typed in ["--data x invite --expires 2h", "invite --expires 2h --data x"] {
        let config = Config::parse_from(["peerchat-registry"].into_iter().chain(typed.split(' ')));
        assert_eq!(config.data, Some("x".into()));
        let expected = Duration::from_secs(7_200);
        assert!(matches!(config.command, Some(Command::Invite { expires, .. }) if expires == expected));
    }
    let config = Config::parse_from(["peerchat-registry", "fingerprint", "--listen", "[::]:7"]);
    assert_eq!(config.listens_at(), "[::]:7");
    assert!(matches!(config.command, Some(Command::Fingerprint)));
}

#[test]
fn a_node_listens_at_its_own_entry_and_keeps_its_data_by_that_name() {
    let list = "--cluster 1=a.example:1,2=b.example:2,3=c.example:3 --ca x";
    let config = typed(&format!("--id 2 {list}")).unwrap();
    assert_eq!(config.listens_at(), "b.example:2");
    let folder = config.data_folder().unwrap().unwrap();
    assert!(folder.ends_with("peerchat-registry/b.example:2"), "{folder:?}");
    let config = typed(&format!("--id 2 {list} --listen 0.0.0.0:2")).unwrap();
    assert_eq!(config.listens_at(), "0.0.0.0:2");
    typed(&format!("--id 2 {list} --listen 127.0.0.1:0 --data x")).unwrap();
}

#[test]
fn what_does_not_fit_together_is_wrong_usage() {
    for (arguments, expected) in [
        (
            "--id 4 --cluster 1=a:1,2=b:1,3=c:1 --ca x",
            "--id 4 is not in --cluster, which has 1, 2, 3",
        ),
        ("--id 2", "--cluster <LIST>"),
        ("--cluster 1=a:1,2=b:1,3=c:1 --ca x", "--id <N>"),
        ("--cluster 1=a:1,2=b:1,3=c:1 --id 1", "--ca <DIR>"),
        ("--id 0 --cluster 1=a:1,2=b:1 --ca x", "from 1 to 99"),
        ("--id 1 --cluster 1=a:1,1=b:1 --ca x", "two nodes have the id 1"),
        ("--id 1 --cluster 1=a:1,2=b:1 --ca x --listen 127.0.0.1:0", "--data"),
        (
            "--id 1 --cluster 1=a:1,2=b:1 --ca x --routes redis://h",
            "needs no database and no Redis",
        ),
        ("init", "--ca DIR"),
        ("invite --registry a:1", "--ca DIR"),
        ("status --registry nowhere", "HOST:PORT"),
    ] {
        let error = typed(arguments).unwrap_err();
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn a_status_is_asked_of_one_registry_or_of_several() {
    let config = typed("status --registry a:1,b:2 --registry c:3 --json").unwrap();
    let Some(Command::Status { registry, json: true }) = config.command else {
        panic!("{config:?}");
    };
    assert_eq!(registry.len(), 3);
}
