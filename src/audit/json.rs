//! Writes JSON straight into a buffer: no tree, no formatting machinery, no allocation of its own.
//!
//! An event is written for every request, so this is on the hot path. What terminals and log viewers act upon
//! (control characters, bidirectional overrides, zero-width characters) is escaped: names come from clients, and an
//! event must not be able to look like another one.

use crate::model::Timestamp;

/// What a byte means inside a JSON string: 0 as it is, 1 escaped, 2 first byte of a sequence that may need it.
const CLASS: [u8; 256] = classes();

const HEX: &[u8; 16] = b"0123456789abcdef";

#[expect(clippy::indexing_slicing, reason = "constants below 256 index an array of 256, evaluated at compile time")]
const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = 1;
        i += 1;
    }
    table[b'"' as usize] = 1;
    table[b'\\' as usize] = 1;
    table[0x7f] = 1;
    table[0xc2] = 2;
    table[0xe2] = 2;
    table[0xef] = 2;
    table
}

/// Appends `text` as the inside of a JSON string.
pub fn escape(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| class(b) == 0) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if hidden(c) => unicode(out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Appends `text` as a JSON string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends `text` as a JSON string, or `null`.
pub fn opt_string(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => raw(out, "null"),
    }
}

/// Appends text that is JSON already.
pub fn raw(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(json.as_bytes());
}

/// Appends `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    raw(out, if value { "true" } else { "false" });
}

/// Appends a whole number.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}

/// Appends a whole number that is not negative.
pub fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + low_byte(value % 10);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// Appends bytes as lower-case hexadecimal digits, without quotes.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for b in bytes {
        out.push(nibble(b >> 4));
        out.push(nibble(b & 15));
    }
}

/// Appends an instant as RFC 3339 in UTC with milliseconds, in quotes: the same text as `Timestamp`'s `Display`.
pub fn instant(out: &mut Vec<u8>, at: Timestamp) {
    const DAY: i64 = 86_400_000;
    let (days, in_day) = (at.0.div_euclid(DAY), at.0.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        string(out, &at.to_string());
        return;
    }
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    let mut put = |at: usize, width: usize, mut value: i64| {
        for slot in text.iter_mut().skip(at).take(width).rev() {
            *slot = b'0' + low_byte(value.unsigned_abs() % 10);
            value /= 10;
        }
    };
    put(1, 4, year);
    put(6, 2, month);
    put(9, 2, day);
    put(12, 2, in_day / 3_600_000);
    put(15, 2, in_day / 60_000 % 60);
    put(18, 2, in_day / 1_000 % 60);
    put(21, 3, in_day % 1_000);
    out.extend_from_slice(&text);
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Whether a viewer would not show this character as what it is.
fn hidden(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Appends `\uXXXX`; only for characters of the basic plane.
fn unicode(out: &mut Vec<u8>, c: char) {
    let [_, _, high, low] = u32::from(c).to_be_bytes();
    raw(out, "\\u");
    hex(out, &[high, low]);
}

fn class(b: u8) -> u8 {
    CLASS.get(usize::from(b)).copied().unwrap_or(1)
}

fn nibble(value: u8) -> u8 {
    HEX.get(usize::from(value)).copied().unwrap_or(b'0')
}

/// The lowest byte of a number.
fn low_byte(value: u64) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_acts_upon_is_escaped() {
        let text = "a\"\\\n\u{1b}[31m\u{9b}\u{202e}\u{200b}\u{feff}é─";
        assert_eq!(written(|o| string(o, text)), "\"a\\\"\\\\\\n\\u001b[31m\\u009b\\u202e\\u200b\\ufeffé─\"");
    }

    proptest! {
        #[test]
        fn any_string_is_read_back_as_it_was(text in any::<String>()) {
            let json = written(|o| string(o, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_does(signed in any::<i64>(), unsigned in any::<u64>()) {
            prop_assert_eq!(written(|o| integer(o, signed)), signed.to_string());
            prop_assert_eq!(written(|o| super::unsigned(o, unsigned)), unsigned.to_string());
        }

        #[test]
        fn instants_are_written_as_displayed(millis in -62_167_219_200_000_i64..=253_402_300_799_999) {
            let at = Timestamp(millis);
            prop_assert_eq!(written(|o| instant(o, at)), format!("\"{at}\""));
        }
    }

    #[test]
    fn zero_has_one_digit() {
        assert_eq!(written(|o| unsigned(o, 0)), "0");
    }
}
