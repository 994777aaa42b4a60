//! The names that one event is about: up to twenty, then a count and a digest.

use super::json;
use crate::enforce::Names;
use sha2::{Digest as _, Sha256};

/// How many names an event carries; beyond it the count and the digest stand for the rest.
pub const NAMES_KEPT: usize = 20;

/// The longest text in bytes that an event repeats from a client; a longer one is cut, and its SHA-256 appended.
/// It keeps an event far below the size a topic takes, whatever a client sends.
pub const TEXT_KEPT: usize = 512;

/// Appends `"names":[…],"count":…,"digest":…`; the digest is the SHA-256 of the sorted names, each followed by a line
/// feed, and stands only where there are more than [`NAMES_KEPT`].
pub fn list(out: &mut Vec<u8>, names: &Names) {
    json::raw(out, "\"names\":[");
    for (i, name) in names.iter().take(NAMES_KEPT).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        bounded_string(out, name);
    }
    json::raw(out, "],\"count\":");
    json::unsigned(out, u64::try_from(names.len()).unwrap_or(u64::MAX));
    if names.len() <= NAMES_KEPT {
        json::raw(out, ",\"digest\":null");
        return;
    }
    let mut sorted: Vec<&str> = names.iter().collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    for name in sorted {
        hash.update(name.as_bytes());
        hash.update(b"\n");
    }
    json::raw(out, ",\"digest\":\"sha256:");
    json::hex(out, &hash.finalize());
    out.push(b'"');
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

    fn listed(names: &[&str]) -> serde_json::Value {
        let (mut out, mut of) = (b"{".to_vec(), Names::default());
        names.iter().for_each(|name| of.push(name));
        list(&mut out, &of);
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn twenty_names_stand_in_full_and_one_more_brings_the_digest() {
        let all: Vec<String> = (0..21).map(|i| format!("t{i:02}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let twenty = &all[..20];
        assert_eq!(listed(twenty), serde_json::json!({ "names": twenty, "count": 20, "digest": null }));
        let mut expected = Vec::new();
        json::hex(&mut expected, &Sha256::digest(all.join("\n") + "\n"));
        let digest = format!("sha256:{}", String::from_utf8(expected).unwrap());
        assert_eq!(listed(&all), serde_json::json!({ "names": twenty, "count": 21, "digest": digest }));
        let mut reversed = all.clone();
        reversed.reverse();
        assert_eq!(listed(&reversed)["digest"], listed(&all)["digest"], "the order does not matter");
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
