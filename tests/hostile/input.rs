//! Fuzz input, read as choices; and damage done to well-formed bytes by such choices.

/// Bytes that are used up one after the other. What is not there reads as zero.
#[derive(Clone)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        (0..4).fold(0, |n, _| n << 8 | u32::from(self.byte()))
    }

    /// One of `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let value = if n > 256 { self.u16() } else { usize::from(self.byte()) };
        value % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}

/// Numbers at the edges of what lengths, counts and varints can say.
const EDGES: [u32; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/// Does up to `most` small damages to the bytes.
pub(crate) fn damage(bytes: &mut Vec<u8>, plan: &mut Input<'_>, most: usize) {
    for _ in 0..most {
        if plan.is_empty() {
            return;
        }
        let how = plan.byte();
        let at = if bytes.is_empty() { 0 } else { plan.u16() % bytes.len() };
        let value = plan.byte();
        let few = at..(at + usize::from(value)).min(bytes.len());
        match how % 10 {
            0 | 1 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = value),
            2 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << (value % 8)),
            3 => bytes.insert(at, value),
            4 => drop(bytes.drain(few)),
            5 => bytes.truncate(at),
            6 => bytes.extend(std::iter::repeat_n(value, usize::from(how))),
            7 => {
                let again = bytes[few].to_vec();
                bytes.splice(at..at, again);
            }
            8 => {
                let edge = EDGES[usize::from(value) % EDGES.len()].to_be_bytes();
                let edge = &edge[usize::from(how) % 4..];
                bytes.iter_mut().skip(at).zip(edge).for_each(|(b, e)| *b = *e);
            }
            _ => {
                let long = [0x80, 0x80, 0x80, 0x80, value & 0x1f];
                bytes.splice(at..at, long.into_iter().skip(usize::from(how) % 4));
            }
        }
    }
}
