//! The part of JSON Schema 2020-12 that `docs/audit-event.schema.json` uses, for tests: a keyword it does not know is
//! a failure, not ignored. Integration tests take this file by path, so it stands on `serde_json` alone.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/audit-event.schema.json");

/// Judges one event; the error says where it breaks the schema.
pub(crate) fn check_event(json: &[u8]) -> Result<Value, String> {
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|e| e.to_string())?;
    let event: Value = serde_json::from_slice(json).map_err(|e| format!("not JSON: {e}"))?;
    check(&schema, &schema, &event, "$")?;
    Ok(event)
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, want) in schema.as_object().into_iter().flatten() {
        let fail = |why: &str| Err(format!("{at}: {why}: {value} against {want}"));
        match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let pointer = want.as_str().and_then(|r| r.strip_prefix('#')).unwrap_or_default();
                let target = root.pointer(pointer).ok_or_else(|| format!("{pointer} is not in the schema"))?;
                check(root, target, value, at)?;
            }
            "const" if want != value => return fail("is not"),
            "const" => {}
            "enum" => {
                if !want.as_array().is_some_and(|all| all.contains(value)) {
                    return fail("is not one of");
                }
            }
            "type" => {
                let of = |name: &Value| match name.as_str().unwrap_or_default() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    _ => false,
                };
                if !want.as_array().map_or_else(|| of(want), |all| all.iter().any(of)) {
                    return fail("is no");
                }
            }
            "required" => {
                for name in want.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        return Err(format!("{at}: `{name}` is missing in {value}"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in want.as_object().into_iter().flatten() {
                    if let Some(value) = value.get(name) {
                        check(root, schema, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, want, item, &format!("{at}[{i}]"))?;
                }
            }
            "oneOf" => {
                let results: Vec<_> =
                    want.as_array().into_iter().flatten().map(|s| check(root, s, value, at)).collect();
                if results.iter().filter(|r| r.is_ok()).count() != 1 {
                    return Err(results.into_iter().filter_map(Result::err).collect::<Vec<_>>().join(" | "));
                }
            }
            "minimum" => {
                if value.as_f64() < want.as_f64() {
                    return fail("is less than");
                }
            }
            "maxItems" => {
                if value.as_array().map(Vec::len) > want.as_u64().and_then(|n| usize::try_from(n).ok()) {
                    return fail("has more items than");
                }
            }
            "pattern" => {
                if let (Some(text), Some(pattern)) = (value.as_str(), want.as_str())
                    && !matches(pattern, text)
                {
                    return fail("does not match");
                }
            }
            unknown => return Err(format!("the checker does not know `{unknown}`")),
        }
    }
    Ok(())
}

/// `^…$` of literals, classes, `+`, `{n}` and `.`: what the schema's patterns are made of.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|p| p.strip_suffix('$')).unwrap_or(pattern);
    here(&inner.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

fn here(pattern: &[char], text: &[char]) -> bool {
    if pattern.is_empty() {
        return text.is_empty();
    }
    let atom = if pattern[0] == '[' { pattern.iter().position(|c| *c == ']').unwrap() + 1 } else { 1 };
    let one = |c: char| match pattern[0] {
        '.' => true,
        '[' => {
            let class = &pattern[1..atom - 1];
            (0..class.len()).any(|i| match class.get(i..i + 3) {
                Some([low, '-', high]) => (*low..=*high).contains(&c),
                _ => class[i] == c,
            })
        }
        literal => literal == c,
    };
    let run = text.iter().take_while(|c| one(**c)).count();
    match pattern.get(atom) {
        Some('+') => (1..=run).rev().any(|n| here(&pattern[atom + 1..], &text[n..])),
        Some('{') => {
            let end = pattern.iter().position(|c| *c == '}').unwrap();
            let n: usize = pattern[atom + 1..end].iter().collect::<String>().parse().unwrap();
            run >= n && here(&pattern[end + 1..], &text[n..])
        }
        _ => run >= 1 && here(&pattern[atom..], &text[1..]),
    }
}
