//! The list of registries, as a flag or the config file gives it.

use super::{ConfigError, checked_address};
use crate::node::limits::REGISTRIES_MAX;

/// Between the addresses of a list.
const COMMA: char = ',';

/// Which registry of a list a peer wants to be at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistryChoice {
    /// The first one.
    #[default]
    First,
    /// Each device another one, always the same.
    Spread,
}

/// What was given is meant.
pub(super) fn choice(origin: &str, given: Option<&str>) -> Result<RegistryChoice, ConfigError> {
    match given {
        None | Some("first") => Ok(RegistryChoice::First),
        Some("spread") => Ok(RegistryChoice::Spread),
        Some(found) => Err(ConfigError::RegistryChoice {
            origin: origin.to_owned(),
            found: found.to_owned(),
        }),
    }
}

/// The addresses of a list, in its order. Each of `given` may be several with commas between them.
pub(super) fn read(origin: &str, given: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut addresses: Vec<String> = Vec::new();
    for one in given.iter().flat_map(|given| given.split(COMMA)) {
        let one = one.trim();
        let is_list = given.len() > 1 || given.iter().any(|given| given.contains(COMMA));
        if one.is_empty() && is_list {
            return Err(ConfigError::EmptyRegistry {
                origin: origin.to_owned(),
            });
        }
        let address = checked_address(origin.to_owned(), one.to_owned())?;
        if addresses.iter().any(|other| is_same(other, &address)) {
            return Err(ConfigError::SameRegistry {
                origin: origin.to_owned(),
                address,
            });
        }
        addresses.push(address);
    }
    match addresses.len() {
        0 => Err(ConfigError::EmptyRegistry {
            origin: origin.to_owned(),
        }),
        1..=REGISTRIES_MAX => Ok(addresses),
        found => Err(ConfigError::ManyRegistries {
            origin: origin.to_owned(),
            found,
        }),
    }
}

/// Whether two addresses are one, however they are written.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |address: &str| {
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host
            .parse()
            .map_or_else(|_| host.to_lowercase(), |ip: std::net::IpAddr| ip.to_string());
        Some((host, port.parse::<u16>().ok()?))
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(given: &[&str]) -> Result<Vec<String>, String> {
        let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
        read("--registry", &given).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_given_with_commas_or_piece_by_piece() {
        assert_eq!(list(&["a:1"]).unwrap(), ["a:1"]);
        assert_eq!(list(&["a:1,b:1, [::1]:3"]).unwrap(), ["a:1", "b:1", "[::1]:3"]);
        assert_eq!(list(&["a:1", "b:1,c:1"]).unwrap(), ["a:1", "b:1", "c:1"]);
        assert_eq!(list(&["a:1,a:2"]).unwrap(), ["a:1", "a:2"], "two on one host");
    }

    #[test]
    fn a_way_to_choose_is_one_of_two() {
        for (given, meant) in [
            (None, RegistryChoice::First),
            (Some("first"), RegistryChoice::First),
            (Some("spread"), RegistryChoice::Spread),
        ] {
            assert_eq!(choice("--registry-choice", given).unwrap(), meant);
        }
        let error = choice("--registry-choice", Some("Spread")).unwrap_err().to_string();
        assert!(
            error.contains("\"Spread\" is no way") && error.contains("first or spread"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        for (given, what) in [
            (&["a:1,,b:1"][..], "nothing between two commas"),
            (&["a:1,"], "nothing between two commas"),
            (&["a:1", ""], "nothing between two commas"),
            (&[], "nothing between two commas"),
            (&["a:1,b"], "\"b\" is no address"),
            (&[""], "\"\" is no address"),
            (&["a:1,b:1,A:01"], "A:01 is in the list twice"),
            (&["[::1]:5,[0:0::1]:5"], "twice"),
        ] {
            let error = list(given).unwrap_err();
            assert!(
                error.starts_with("--registry: ") && error.contains(what),
                "{given:?}: {error}"
            );
        }
        let most: Vec<String> = (1..=REGISTRIES_MAX + 1).map(|port| format!("h:{port}")).collect();
        assert!(list(&[&most[1..].join(",")]).is_ok());
        let error = list(&[&most.join(",")]).unwrap_err();
        assert!(error.contains("9 registries") && error.contains("at most 8"), "{error}");
    }
}
