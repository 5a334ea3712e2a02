//! Choices made of the fuzzer's bytes.

use arbitrary::Unstructured;

/// Numbers at which readers go wrong.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    255,
    256,
    65_535,
    65_536,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// The bytes, and what they choose. Where they end all is zero.
pub struct Dice<'a>(Unstructured<'a>);

impl<'a> Dice<'a> {
    /// Those of an input.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether any bytes are left.
    pub fn has_more(&self) -> bool {
        !self.0.is_empty()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// Whether.
    pub fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 256 {
            return usize::from(self.byte()) % end.max(1);
        }
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end
    }

    /// Any number, small ones and those at the edges more often than others.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            edge @ 0..14 => EDGES[usize::from(edge)],
            14..64 => self.0.arbitrary().unwrap_or_default(),
            small => u64::from(small - 64),
        }
    }

    /// So many bytes; fewer at the end.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.0.len());
        self.0.bytes(len).unwrap_or_default()
    }

    /// Up to 255 bytes, as many as the next one says.
    pub fn few(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.bytes(len.into())
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// Changes a few places of `bytes`: turns bits, cuts off, adds, copies.
    pub fn edit(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = match bytes.len() {
                0 => 0,
                len => usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % len,
            };
            match self.below(5) {
                0 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << self.below(8)),
                1 => bytes.truncate(at),
                2 => drop(bytes.splice(at..at, self.few().iter().copied())),
                3 => {
                    let end = bytes.len().min(at + 1 + self.below(64));
                    bytes.drain(at..end);
                }
                _ => {
                    let new = self.few();
                    let end = bytes.len().min(at + new.len());
                    bytes.splice(at..end, new.iter().copied());
                }
            }
        }
    }
}
