//! The names that one event is about: up to twenty, then a count and a digest.

use super::json;
use sha2::{Digest as _, Sha256};

/// How many names an event carries; beyond it the count and the digest stand for the rest.
pub const NAMES_KEPT: usize = 20;

/// The longest text in bytes that an event repeats from a client; a longer one is cut, and its SHA-256 appended.
/// It keeps an event far below the size a topic takes, whatever a client sends.
pub const TEXT_KEPT: usize = 512;

/// The names that a decision is about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Names {
    /// The first [`NAMES_KEPT`] of them in the order of the request.
    pub kept: Vec<Box<str>>,
    /// How many there are.
    pub count: u64,
    /// SHA-256 of the sorted names, each followed by a line feed; only if there are more than [`NAMES_KEPT`].
    pub digest: Option<[u8; 32]>,
}

impl Names {
    /// A single name.
    pub fn one(name: &str) -> Self {
        Self { kept: vec![name.into()], count: 1, digest: None }
    }

    /// Several names, in the order of the request.
    pub fn of<'a>(names: &[&'a str]) -> Self {
        let kept = names.iter().take(NAMES_KEPT).map(|n| Box::from(*n)).collect();
        let digest = (names.len() > NAMES_KEPT).then(|| {
            let mut sorted: Vec<&'a str> = names.to_vec();
            sorted.sort_unstable();
            let mut hash = Sha256::new();
            for name in sorted {
                hash.update(name.as_bytes());
                hash.update(b"\n");
            }
            hash.finalize().into()
        });
        Self { kept, count: u64::try_from(names.len()).unwrap_or(u64::MAX), digest }
    }
}

/// Appends text from a client as the inside of a JSON string, cut at [`TEXT_KEPT`] bytes.
pub fn bounded(out: &mut Vec<u8>, text: &str) {
    if text.len() <= TEXT_KEPT {
        json::escape(out, text);
        return;
    }
    let head = text.floor_char_boundary(TEXT_KEPT);
    json::escape(out, text.get(..head).unwrap_or_default());
    json::raw(out, "…(");
    json::unsigned(out, u64::try_from(text.len()).unwrap_or(u64::MAX));
    json::raw(out, " bytes, sha256 ");
    json::hex(out, &Sha256::digest(text.as_bytes()));
    json::raw(out, ")");
}

/// Appends text from a client as a JSON string, cut at [`TEXT_KEPT`] bytes.
pub fn bounded_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    bounded(out, text);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_names_stand_in_full_and_one_more_brings_the_digest() {
        let all: Vec<String> = (0..21).map(|i| format!("t{i:02}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let twenty = Names::of(&all[..20]);
        assert_eq!((twenty.kept.len(), twenty.count, twenty.digest), (20, 20, None));
        let more = Names::of(&all);
        assert_eq!((more.kept.len(), more.count), (20, 21));
        let mut reversed = all.clone();
        reversed.reverse();
        assert_eq!(Names::of(&reversed).digest, more.digest, "the digest does not depend on the order");
        let expected: [u8; 32] = Sha256::digest(all.join("\n") + "\n").into();
        assert_eq!(more.digest, Some(expected));
    }

    #[test]
    fn a_text_of_any_length_is_bounded_and_told_apart() {
        let cut = |text: &str| {
            let mut out = Vec::new();
            bounded(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        let (a, b) = ("é".repeat(20_000), "é".repeat(19_999) + "e");
        assert!(cut(&a).len() < 700);
        assert_ne!(cut(&a), cut(&b));
        assert_eq!(cut(&"x".repeat(TEXT_KEPT)), "x".repeat(TEXT_KEPT));
    }
}
