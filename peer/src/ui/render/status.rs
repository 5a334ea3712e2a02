//! How registries and links stand.

use chrono::TimeZone;

use super::{
    Renderer,
    table::{Cell, short, table},
};
use crate::{
    node::{
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
            LinkStanding::Up => "open".to_owned(),
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
    let next = one.next_try_ms.map(|ms| format!("tried {}", soon(Some(ms))));
    let error = one.error.as_deref().map(visible_line);
    let more: Vec<String> = next.into_iter().chain(error).collect();
    [
        (visible_line(&one.address), None),
        (standing.to_owned(), None),
        (more.join(": "), None),
    ]
}

/// `in 3 s`
fn soon(ms: Option<u64>) -> String {
    match ms.unwrap_or_default().div_ceil(1_000) {
        0 => "now".to_owned(),
        seconds => format!("in {seconds} s"),
    }
}
