//! Colours of the screen, or none.

use std::env;

use crate::node::types::UserName;

/// Colours of users, of the 256-colour cube: each can be read on black and on white.
const USERS: [u8; 14] = [28, 31, 32, 63, 64, 66, 94, 97, 99, 130, 133, 161, 166, 168];

/// How text is emphasised. Without colours nothing but the text itself is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours, or without.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// With colours on a terminal that can show them, unless the user wants none (NO_COLOR).
    pub fn detect(is_terminal: bool) -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let unable = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self::new(is_terminal && !unwanted && !unable)
    }

    /// What is less important.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What is more important.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What went wrong.
    pub fn error(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// The own name in somebody's text, or what was searched for.
    pub fn marked(self, text: &str) -> String {
        self.with("7", text)
    }

    /// `text` in the colour of `user`, always the same for him; bold if it is the own user.
    pub fn user(self, user: &UserName, me: bool, text: &str) -> String {
        let colour = USERS[fnv(user.key().as_bytes()) as usize % USERS.len()];
        let bold = if me { "1;" } else { "" };
        self.with(&format!("{bold}38;5;{colour}"), text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// FNV-1a: small, and the same on every machine and in every version.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2 relative luminance of a colour of the cube.
    fn luminance(colour: u8) -> f64 {
        let index = u32::from(colour) - 16;
        let channel = |step: u32| {
            let value = f64::from(if step == 0 { 0 } else { 55 + 40 * step }) / 255.0;
            if value <= 0.039_28 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(index / 36) + 0.7152 * channel(index / 6 % 6) + 0.0722 * channel(index % 6)
    }

    #[test]
    fn users_can_be_read_on_black_and_on_white() {
        for colour in USERS {
            let light = luminance(colour) + 0.05;
            assert!(light / 0.05 >= 3.0, "{colour} on black: {:.2}", light / 0.05);
            assert!(1.05 / light >= 3.0, "{colour} on white: {:.2}", 1.05 / light);
        }
    }

    #[test]
    fn a_user_keeps_his_colour() {
        let paint = Paint::new(true);
        let [typed, folded] = ["Bob", "bob"].map(|name| UserName::new(name).unwrap());
        assert_eq!(paint.user(&typed, false, "x"), paint.user(&folded, false, "x"));
        assert_eq!(paint.user(&typed, false, "x"), "\u{1b}[38;5;133mx\u{1b}[0m");
        assert_eq!(Paint::new(false).user(&typed, true, "x"), "x");
    }
}
