//! The time of a table, which no lease notices standing still.

use std::time::Duration;

use tokio::time::Instant;

use crate::routes::Millis;

/// The most by which the time goes on between two looks at it, of which there are several a second. A process that stood still for longer has
/// heard no renewal meanwhile: it must not take that for the end of everybody's lease when it goes on, before it has read what
/// waits.
const STEP_MAX: Duration = Duration::from_secs(2);

/// A clock of a table.
#[derive(Debug)]
pub(crate) struct TableClock {
    now: Millis,
    /// Up to when that counts.
    counted: Instant,
}

impl TableClock {
    /// A clock that goes on from a time.
    pub(crate) fn new(now: Millis, at: Instant) -> Self {
        Self { now, counted: at }
    }

    /// The time of the table at this moment.
    pub(crate) fn now(&mut self, at: Instant) -> Millis {
        let passed = at.saturating_duration_since(self.counted);
        if passed > STEP_MAX {
            self.counted = at;
            self.now = self.now + Millis::from(STEP_MAX);
        } else {
            // What is less than a millisecond counts the next time.
            let passed = Millis::from(passed);
            self.counted += Duration::from_millis(passed.0);
            self.now = self.now + passed;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_as_it_does_and_a_stall_is_short() {
        let begun = Instant::now();
        let mut clock = TableClock::new(Millis(7), begun);
        for step in 1..=10_000_u32 {
            clock.now(begun + step * Duration::from_micros(100));
        }
        let later = begun + Duration::from_secs(1);
        assert_eq!(clock.now(later), Millis(1_007));
        assert_eq!(clock.now(begun), Millis(1_007), "it never runs backwards");
        let stalled = later + Duration::from_secs(20);
        assert_eq!(clock.now(stalled), Millis(3_007));
        assert_eq!(clock.now(stalled + Duration::from_millis(3)), Millis(3_010));
    }
}
