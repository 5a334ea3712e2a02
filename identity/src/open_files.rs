//! How many files a process may have open at once. A connection is one, so this is what limits them first: most systems give a process
//! 1,024 until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many are enough, and taken by systems that refuse to allow as many as they name.
const ENOUGH: u64 = 10_240;

/// How many files this process may have open; none where the system sets no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit as far as the system lets it, or what others may open could take all of them, and with them the logs and the
/// database. Where that is refused, the process has as many as it was given.
pub fn allow_most() {
    let limit = getrlimit(Resource::Nofile);
    for current in wanted(&limit) {
        match setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, ?current, "cannot raise the limit of open files"),
        }
    }
}

/// The limits to ask for, one after the other until the system takes one. None is lower than what there is.
fn wanted(limit: &Rlimit) -> impl Iterator<Item = Option<u64>> + use<> {
    let enough = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    let is_more = limit.current.is_some_and(|current| current < enough);
    [Some(limit.maximum), is_more.then_some(Some(enough))]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_lowered() {
        for (current, maximum, limits) in [
            (Some(1_024), None, vec![None, Some(ENOUGH)]),
            (Some(1_024), Some(1 << 20), vec![Some(1 << 20), Some(ENOUGH)]),
            (Some(1_024), Some(4_096), vec![Some(4_096), Some(4_096)]),
            (Some(ENOUGH), Some(1 << 20), vec![Some(1 << 20)]),
            (Some(20_000), None, vec![None]),
            (None, None, vec![None]),
        ] {
            let asked: Vec<_> = wanted(&Rlimit { current, maximum }).collect();
            assert_eq!(asked, limits, "{current:?} of {maximum:?}");
        }
    }

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let limit = getrlimit(Resource::Nofile);
        let less = limit.maximum.map(|most| most / 2);
        let lowered = Rlimit { current: less, ..limit };
        setrlimit(Resource::Nofile, lowered).unwrap();
        allow_most();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
