//! Base32 in small letters, as private rooms are named and invitations are written: no letter is taken for a digit, and case is
//! nothing that anybody has to mind.

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Five bits a letter, without padding; what is left over at the end is filled up with zeros.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut waiting, mut bits) = (0_u32, 0);
    for byte in bytes {
        waiting = waiting << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(waiting >> bits));
        }
        waiting &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(waiting << (5 - bits)));
    }
    text
}

fn letter(five_bits: u32) -> char {
    char::from(LETTERS[(five_bits & 31) as usize])
}

/// The `N` bytes that are written so; none where the text is not what [`encode`] makes of any.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    let (mut waiting, mut bits, mut next) = (0_u32, 0, 0);
    for found in text.bytes() {
        let value = LETTERS.iter().position(|letter| *letter == found)?;
        waiting = waiting << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(next)? = u8::try_from(waiting >> bits).ok()?;
            waiting &= (1 << bits) - 1;
            next += 1;
        }
    }
    (next == N && waiting == 0).then_some(bytes)
}

/// Whether a text can be the beginning of so many bytes.
pub fn is_start(text: &str, bytes: usize) -> bool {
    text.len() <= (bytes * 8).div_ceil(5) && text.bytes().all(|found| LETTERS.contains(&found))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_as_others_write_it() {
        // RFC 4648, section 10, in small letters and without padding.
        for (plain, written) in [("", ""), ("f", "my"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(encode(plain.as_bytes()), written);
        }
        assert_eq!(decode(&encode(b"foobar")), Some(*b"foobar"));
    }

    #[test]
    fn what_nobody_writes_is_not_read() {
        for wrong in ["my\u{df}", "MY", "m1", "m", "myy", "m ", "mz"] {
            assert_eq!(decode::<1>(wrong), None, "{wrong:?}");
        }
        assert_eq!(decode(""), Some([]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 16]) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn each_text_is_of_one_value(text in "[a-z2-7]{26}") {
            if let Some(bytes) = decode::<16>(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
