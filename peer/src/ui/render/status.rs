//! How registries and links stand.

use chrono::TimeZone;

use super::{
    Renderer,
    table::{Cell, short, table},
};
use crate::{
    node::{
        apart::apart,
        breaker::BreakerState,
        status::{LinkStanding, LinkStatus, RegistryStatus},
    },
    ui::safe::visible_line,
};

impl<Z: TimeZone> Renderer<Z> {
    /// Registries and links, each with its state.
    pub fn status(&self, registries: &[RegistryStatus], links: &[LinkStatus]) -> String {
        let mut out = self.rule("registries") + &table(registries.iter().map(registry));
        out += &self.rule("links");
        if links.is_empty() {
            out += &self.quiet(&["  none: nobody else is in your conversations"]);
        }
        out + &table(links.iter().map(|link| self.link(link)))
    }

    fn link(&self, link: &LinkStatus) -> [Cell; 3] {
        let name = self.name(&link.user);
        let painted = self.paint.user(&link.user, link.user == self.me, &name);
        let standing = match link.standing {
            LinkStanding::Up if link.is_undialable => "up, cannot be dialled".to_owned(),
            LinkStanding::Up => "up".to_owned(),
            LinkStanding::Dialing => "being dialled".to_owned(),
            LinkStanding::Down => format!("away, dialled {}", soon(link.next_try_ms)),
        };
        let address = link.address.as_deref().map(visible_line).unwrap_or_default();
        let place = format!("{}  {address}", short(&link.device));
        [
            (name, Some(painted)),
            (standing, None),
            (place.trim_end().to_owned(), None),
        ]
    }
}

fn registry(one: &RegistryStatus) -> [Cell; 3] {
    let standing = match (one.is_used, one.state) {
        (true, _) => "in use",
        (false, BreakerState::Closed) => "ready",
        (false, BreakerState::Open) => "away",
        (false, BreakerState::HalfOpen) => "being tried",
    };
    let next = match (one.next_try_ms, one.failed_ms_ago) {
        (Some(ms), _) => Some(format!("tried {}", soon(Some(ms)))),
        // Nobody looks at it while another one works.
        (None, Some(ms)) => Some(format!("since {}, not tried again yet", ago(ms))),
        (None, None) => None,
    };
    let error = one.error.as_deref().map(visible_line);
    let clock = one.clock_ahead_ms.and_then(apart);
    let clock = clock.map(|apart| format!("this machine's clock is {apart} its"));
    let more: Vec<String> = next.into_iter().chain(error).chain(clock).collect();
    [
        (visible_line(&one.address), None),
        (standing.to_owned(), None),
        (more.join(": "), None),
    ]
}

/// `3 s ago`
fn ago(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7_200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3_600),
    }
}

/// `in 3 s`
fn soon(ms: Option<u64>) -> String {
    match ms.unwrap_or_default().div_ceil(1_000) {
        0 => "now".to_owned(),
        seconds => format!("in {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::ui::{
        colour::Paint,
        testing::{author, user},
    };

    fn registry(address: &str, state: BreakerState) -> RegistryStatus {
        RegistryStatus {
            address: address.into(),
            state,
            is_used: false,
            error: None,
            failed_ms_ago: None,
            next_try_ms: None,
            clock_ahead_ms: None,
        }
    }

    #[test]
    fn what_is_used_and_what_is_left_alone_stands_in_a_row_each() {
        let r = Renderer::new(user("alice"), Paint::new(false), Utc);
        let away = RegistryStatus {
            error: Some("Connection refused".into()),
            next_try_ms: Some(2_100),
            ..registry("one.example:1", BreakerState::Open)
        };
        let used = RegistryStatus {
            is_used: true,
            clock_ahead_ms: Some(-358 * 60_000),
            ..registry("two.example:1", BreakerState::Closed)
        };
        let registries = [
            away,
            used,
            registry("c:1", BreakerState::Closed),
            RegistryStatus {
                error: Some("Connection refused".into()),
                failed_ms_ago: Some(270_000),
                ..registry("e:1", BreakerState::Open)
            },
            registry("d:1", BreakerState::HalfOpen),
        ];
        let link = |name, standing, next_try_ms| LinkStatus {
            user: user(name),
            device: author(11).device,
            address: Some("127.0.0.1:4".into()),
            standing,
            state: BreakerState::Open,
            next_try_ms,
            is_undialable: name == "erin",
        };
        let links = [
            link("bob", LinkStanding::Up, None),
            link("carol", LinkStanding::Down, Some(0)),
            link("dave", LinkStanding::Dialing, None),
            link("erin", LinkStanding::Up, None),
        ];
        let rows = [
            "── registries ──",
            "  one.example:1  away         tried in 3 s: Connection refused",
            "  two.example:1  in use       this machine's clock is 5 h 58 min behind its",
            "  c:1            ready",
            "  e:1            away         since 4 min ago, not tried again yet: Connection refused",
            "  d:1            being tried",
            "── links ──",
            "  bob    up                     0b0b0b0b0b0b…  127.0.0.1:4",
            "  carol  away, dialled now      0b0b0b0b0b0b…  127.0.0.1:4",
            "  dave   being dialled          0b0b0b0b0b0b…  127.0.0.1:4",
            "  erin   up, cannot be dialled  0b0b0b0b0b0b…  127.0.0.1:4",
        ];
        assert_eq!(r.status(&registries, &links).lines().collect::<Vec<_>>(), rows);
        assert!(
            r.status(&registries, &[])
                .ends_with("  none: nobody else is in your conversations\n")
        );
    }
}
