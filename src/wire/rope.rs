//! Bytes to be sent, in pieces: what was built here, and slices of what others sent.

use bytes::Bytes;

/// From this size on, bytes are kept as a slice instead of being copied.
const SLICE_FROM: usize = 1024;

/// Bytes in pieces, to be sent with one vectored write.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    chunks: Vec<Chunk>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Chunk {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Rope {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, in order; none is empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|chunk| match chunk {
            Chunk::Own(bytes) => bytes.as_slice(),
            Chunk::Shared(bytes) => bytes,
        })
    }

    /// The pieces, in order, without a copy.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> {
        self.chunks.into_iter().map(|chunk| match chunk {
            Chunk::Own(bytes) => Bytes::from(bytes),
            Chunk::Shared(bytes) => bytes,
        })
    }

    /// All bytes in one piece; a copy if there is more than one.
    pub fn into_bytes(mut self) -> Bytes {
        match (self.chunks.pop(), self.chunks.is_empty()) {
            (None, _) => Bytes::new(),
            (Some(Chunk::Own(bytes)), true) => Bytes::from(bytes),
            (Some(Chunk::Shared(bytes)), true) => bytes,
            (Some(last), false) => {
                self.chunks.push(last);
                let mut all = Vec::with_capacity(self.len);
                self.chunks().for_each(|chunk| all.extend_from_slice(chunk));
                Bytes::from(all)
            }
        }
    }

    /// Adds a copy of these bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        match self.chunks.last_mut() {
            Some(Chunk::Own(tail)) => tail.extend_from_slice(bytes),
            _ => self.chunks.push(Chunk::Own(bytes.to_vec())),
        }
    }

    /// Adds these bytes, as a slice if they are 1 KiB or more.
    pub fn push_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < SLICE_FROM {
            self.push(bytes);
        } else {
            self.len += bytes.len();
            self.chunks.push(Chunk::Shared(bytes.clone()));
        }
    }

    /// Adds all of another rope.
    pub fn append(&mut self, other: Self) {
        for chunk in other.chunks {
            match chunk {
                Chunk::Own(bytes) if bytes.len() < SLICE_FROM => self.push(&bytes),
                chunk => {
                    self.len += match &chunk {
                        Chunk::Own(bytes) => bytes.len(),
                        Chunk::Shared(bytes) => bytes.len(),
                    };
                    self.chunks.push(chunk);
                }
            }
        }
    }

    /// Writes over the first bytes, which must have been pushed as a copy.
    pub(crate) fn patch_start<const N: usize>(&mut self, bytes: [u8; N]) {
        let start = match self.chunks.first_mut() {
            Some(Chunk::Own(chunk)) => chunk.first_chunk_mut::<N>(),
            _ => None,
        };
        debug_assert!(start.is_some(), "the start was not pushed as one piece");
        if let Some(start) = start {
            *start = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bytes_are_not_copied() {
        let large = Bytes::from(vec![7; 5000]);
        let mut rope = Rope::new();
        rope.push(b"ab");
        rope.push_bytes(&Bytes::from_static(b"cd"));
        rope.push_bytes(&large);
        rope.push(b"");
        rope.push(b"ef");
        assert_eq!(rope.len(), 5006);
        let chunks: Vec<Bytes> = rope.clone().into_chunks().collect();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [4, 5000, 2]);
        assert_eq!(chunks[1].as_ptr(), large.as_ptr());
        rope.patch_start(*b"xy");
        let all = rope.into_bytes();
        assert_eq!((all.len(), &all[..4], &all[5004..]), (5006, &b"xycd"[..], &b"ef"[..]));
    }

    #[test]
    fn appending_keeps_the_bytes() {
        let (mut a, mut b) = (Rope::new(), Rope::new());
        a.push(b"12");
        b.push(b"34");
        b.push_bytes(&Bytes::from(vec![b'5'; 2000]));
        a.append(b);
        assert_eq!((a.len(), a.chunks().count()), (2004, 2));
        assert_eq!(&a.into_bytes()[..5], b"12345");
    }
}
