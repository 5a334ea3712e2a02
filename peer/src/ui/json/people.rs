//! What is told about people, as objects.

use super::{
    object::{Compared, Object},
    time,
};
use crate::node::people::{News, Trust};

/// The object of a piece of news.
pub(super) fn object(news: &News) -> Object<'_> {
    match news {
        News::NewDevice {
            user,
            device,
            known,
            trusted,
        } => Object::NewDevice {
            user: user.shown(),
            device: device.to_string(),
            known: *known,
            trusted: *trusted,
        },
        News::Compared(comparison, words) => {
            let devices = comparison.devices.iter().map(|known| Compared {
                user: known.user.shown(),
                device: known.device.to_string(),
                first_met: known.first_met.map(time::rfc3339),
                counts: known.counts,
                trusted: known.trusted,
            });
            Object::Verify {
                user: comparison.user.shown(),
                words,
                devices: devices.collect(),
                trusted: comparison.trusted,
            }
        }
        News::Trusted(user, devices) => Object::Trusted {
            user: user.shown(),
            devices: devices.iter().map(ToString::to_string).collect(),
        },
        News::Forgot { user, device, known } => Object::ForgotDevice {
            user: user.shown(),
            device: device.to_string(),
            known: *known,
        },
    }
}

/// How far somebody is trusted; null where not at all.
pub(super) fn trust(trust: Trust) -> Option<&'static str> {
    match trust {
        Trust::None => None,
        Trust::Whole => Some("trusted"),
        Trust::NewDevice => Some("new_device"),
    }
}
