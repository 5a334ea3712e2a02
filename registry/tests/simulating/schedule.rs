//! A clock, and a queue of what happens when.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// What is planned. What is planned for the same time happens in the order in which it was planned.
#[derive(Debug)]
pub struct Schedule<H> {
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, H>,
    next: u64,
}

impl<H> Default for Schedule<H> {
    fn default() -> Self {
        Self {
            now: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<H> Schedule<H> {
    /// The time in milliseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Lets something happen at a time.
    pub fn at(&mut self, at: u64, happening: H) {
        self.queue.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    /// Lets time pass until the next thing happens, which is that, or until the end, and then nothing does.
    pub fn next_until(&mut self, end: u64) -> Option<H> {
        while let Some(&Reverse((at, number))) = self.queue.peek()
            && at <= end
        {
            self.queue.pop();
            self.now = at;
            if let Some(happening) = self.happenings.remove(&number) {
                return Some(happening);
            }
        }
        self.now = end;
        None
    }

    /// Takes back what is planned for after a time.
    pub fn forget_after(&mut self, end: u64, which: impl Fn(&H) -> bool) {
        for Reverse((at, number)) in &self.queue {
            if *at > end && self.happenings.get(number).is_some_and(&which) {
                self.happenings.remove(number);
            }
        }
    }
}
