//! Lines of the log that strangers can cause as often as they like.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are told within one window.
const MOST: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// Lets a number of lines through in ten seconds; metrics count what it holds back.
#[derive(Debug, Default)]
pub struct Seldom {
    window: Mutex<Option<(Instant, u32)>>,
}

/// What is to be said.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// The line.
    Line,
    /// The line, and that so many were left out since.
    LineAfter(u32),
    /// Nothing.
    Nothing,
}

impl Seldom {
    /// Whether one more line is told.
    pub(super) fn say(&self) -> Say {
        self.say_at(Instant::now())
    }

    /// The number of lines left out since the last one, if one more is told.
    pub(super) fn told(&self) -> Option<u32> {
        match self.say() {
            Say::Nothing => None,
            Say::Line => Some(0),
            Say::LineAfter(left_out) => Some(left_out),
        }
    }

    fn say_at(&self, now: Instant) -> Say {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, lines) = window.get_or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WINDOW {
            let left_out = lines.saturating_sub(MOST);
            (*since, *lines) = (now, 1);
            return if left_out > 0 { Say::LineAfter(left_out) } else { Say::Line };
        }
        *lines = lines.saturating_add(1);
        if *lines <= MOST { Say::Line } else { Say::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_told_as_a_number() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        let said = |at| (0..1000).filter(|_| seldom.say_at(at) != Say::Nothing).count();
        assert_eq!(said(now), 50);
        assert_eq!(said(now + WINDOW / 2), 0);
        assert_eq!(seldom.say_at(now + WINDOW), Say::LineAfter(1950));
        assert_eq!(said(now + WINDOW), 49);
    }
}
