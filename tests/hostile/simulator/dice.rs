//! Where the choices of a run come from: a seed, or the bytes of a fuzzer.

use crate::input::Input;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

pub(super) enum Dice<'a> {
    Seed(Box<StdRng>),
    Bytes(Input<'a>),
}

impl Dice<'_> {
    pub(super) fn seeded(seed: u64) -> Self {
        Self::Seed(Box::new(StdRng::seed_from_u64(seed)))
    }

    /// One of `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        match self {
            Self::Seed(rng) => rng.random_range(0..n.max(1)),
            Self::Bytes(input) => input.below(n),
        }
    }

    /// `true` once in `n`.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(super) fn seed(&mut self) -> u64 {
        match self {
            Self::Seed(rng) => rng.random(),
            Self::Bytes(input) => u64::from(input.u32()),
        }
    }

    /// Whether there are no choices left.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Bytes(input) if input.is_empty())
    }
}
