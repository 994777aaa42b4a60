//! Text that somebody else chose, as a terminal or a log may show it.

use std::borrow::Cow;

/// The text with everything escaped that ends a line, steers a terminal or changes the direction of what follows.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_all_else_stays() {
        assert_eq!(shown("a\n\u{1b}[2J\u{9b}b\u{202e}c\u{2066}"), "a\\u{a}\\u{1b}[2J\\u{9b}b\\u{202e}c\\u{2066}");
        assert!(matches!(shown("tx_1 ä \\ \"x\""), Cow::Borrowed(_)));
    }
}
