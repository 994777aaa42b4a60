//! What a mutation asks for, as JSON for its audit event: bounded, whatever the size of the request.

use serde_json::Value;

/// The most elements that one event lists, over all of its arrays.
const MOST: usize = 100;
/// The longest text that one event quotes, in characters.
const LONGEST: usize = 249;

/// Builds arguments that list at most so many elements and say when there were more.
#[derive(Default)]
pub(super) struct Bounded {
    used: usize,
    cut: bool,
}

impl Bounded {
    /// The first elements as a JSON array.
    pub(super) fn take<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        mut one: impl FnMut(T, &mut Self) -> Value,
    ) -> Value {
        let mut array = Vec::new();
        for item in items {
            if self.used == MOST {
                self.cut = true;
                break;
            }
            self.used += 1;
            array.push(one(item, self));
        }
        Value::Array(array)
    }

    /// The arguments as JSON text; `"truncated": true` where elements were left out.
    pub(super) fn object<'k>(self, members: impl IntoIterator<Item = (&'k str, Value)>) -> String {
        let mut object: serde_json::Map<String, Value> =
            members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if self.cut {
            object.insert("truncated".to_owned(), Value::Bool(true));
        }
        Value::Object(object).to_string()
    }
}

/// A client's text, as long as a topic name may be; what is longer is cut.
pub(super) fn text(text: &str) -> Value {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Value::String(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounded, MOST, text};

    #[test]
    fn arguments_are_bounded_over_all_arrays_and_say_so() {
        let mut bounded = Bounded::default();
        let outer = bounded.take(0..3, |_, b| b.take(0..60, |n, _| n.into()));
        let all = bounded.object([("a", outer)]);
        let read: serde_json::Value = serde_json::from_str(&all).unwrap();
        let inner: usize = read["a"].as_array().unwrap().iter().map(|v| v.as_array().unwrap().len()).sum();
        assert!(inner <= MOST, "{inner}");
        assert_eq!(read["truncated"], true);
        let small = Bounded::default().object([("a", 1.into())]);
        assert_eq!(small, r#"{"a":1}"#);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = text(&"é".repeat(400));
        assert_eq!(cut.as_str().unwrap().chars().count(), 250);
        assert_eq!(text("orders"), "orders");
    }
}
