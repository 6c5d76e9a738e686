//! JSON from strangers: any value of any type, borrowed where possible, and never deeper than we say.
//!
//! Fields are read as whatever they are and judged afterwards, so that a wrong type costs at most the event
//! that holds it. Two things that serde_json refuses are common in the wild and are not worth a batch:
//! a lone surrogate (`"\ud83d"`: browsers write one where a script cut an emoji in two) and a number beyond
//! any float (`1e999`). [`repaired`] makes the first readable; for the rest see [`crate::receive`].

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting of objects and lists that is read.
pub const MAX_DEPTH: usize = 8;

/// A value of JSON. Lists are not looked into: no field we read is one.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Json<'a> {
    #[default]
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    List,
}

impl<'a> Json<'a> {
    /// Whether there is nothing: no such field, or null.
    pub fn is_none(&self) -> bool {
        matches!(self, Json::Missing | Json::Null)
    }

    /// A number, rounded to the nearest integer; None for other types.
    pub fn rounded(&self) -> Option<i64> {
        match self {
            Json::Int(n) => Some(*n),
            // `as` ends at the greatest and smallest integer, and makes 0 of NaN.
            Json::Float(x) => Some(x.round() as i64),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Json::Int(n) => Some(*n as f64),
            Json::Float(x) => Some(*x),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as text, as it would be printed; None for null, objects and lists.
    pub fn printed(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Json::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Json::Int(n) => Cow::Owned(n.to_string()),
            Json::Float(x) => Cow::Owned(x.to_string()),
            Json::Text(text) => Cow::Borrowed(text),
            _ => return None,
        })
    }

    /// The first of the two that is there (Plausible's fields have a short and a long name).
    pub fn or(self, other: Json<'a>) -> Json<'a> {
        if self.is_none() { other } else { self }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Json<'de>, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
                Ok(Json::Int(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
                Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Int))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
                Ok(Json::Float(value))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Json::List)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Json::Object(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A key, borrowed unless it holds escapes.
pub struct Key<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// Whether objects and lists are nested at most [`MAX_DEPTH`] deep, looked at before anything is parsed.
/// The text need not be JSON.
pub fn is_shallow(body: &[u8]) -> bool {
    // What opens at most eight times cannot be nested deeper; this settles small bodies at once.
    if body.iter().filter(|&&b| b == b'{' || b == b'[').count() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for &byte in body {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The body with each lone surrogate escape replaced by the replacement character's; None if it has none.
pub fn repaired(body: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut i = 0;
    while i < body.len() {
        if body[i] != b'\\' {
            i += 1;
            continue;
        }
        match unit(body, i) {
            None => i += 2,
            Some(0xd800..=0xdbff) if matches!(unit(body, i + 6), Some(0xdc00..=0xdfff)) => i += 12,
            Some(0xd800..=0xdfff) => {
                // All escapes are six bytes long, so the replacement fits in place.
                out.get_or_insert_with(|| body.to_vec())[i..i + 6].copy_from_slice(b"\\ufffd");
                i += 6;
            }
            Some(_) => i += 6,
        }
    }
    out
}

/// The code unit of a `\uXXXX` at this place.
fn unit(body: &[u8], at: usize) -> Option<u16> {
    let escape = body.get(at..at + 6)?;
    let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let table = [
            ("[[[[[[[[1]]]]]]]]", true),
            ("[[[[[[[[[1]]]]]]]]]", false),
            (r#"{"a":"[[[[[[[[[[\"[[[[","b":[[]]}"#, true),
            (r#"[{},{},{},{},{},{},{},{},{},{}]"#, true),
            (r#"["\\",[[[[[[[[1]]]]]]]]]"#, false),
        ];
        for (body, expected) in table {
            assert_eq!(is_shallow(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        let table = [
            (r#""\ud83d\ude00""#, None),
            (r#""a\ud83d""#, Some(r#""a\ufffd""#)),
            (r#""\ude00\ud83d""#, Some(r#""\ufffd\ufffd""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\\ud83d""#, None),
            (r#""\ud8"#, None),
        ];
        for (body, expected) in table {
            let repaired = repaired(body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(repaired.as_deref(), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_value_survives_printing_and_reading(text in any::<String>(), n in any::<i64>(), b in any::<bool>()) {
            let body = serde_json::json!({"a": text, "b": n, "c": b, "d": null, "e": [1], "f": {"g": 0.5}}).to_string();
            let Json::Object(fields) = serde_json::from_str::<Json>(&body).unwrap() else { panic!("an object") };
            let fields: Vec<(&str, &Json)> = fields.iter().map(|(k, v)| (&**k, v)).collect();
            prop_assert_eq!(fields[0], ("a", &Json::Text(Cow::Owned(text))));
            prop_assert_eq!(fields[1], ("b", &Json::Int(n)));
            prop_assert_eq!(fields[2], ("c", &Json::Bool(b)));
            prop_assert_eq!(fields[4], ("e", &Json::List));
        }

        #[test]
        fn what_the_scan_lets_pass_serde_finds_shallow(body in "[\\[\\]{}\":,1a\\\\]{0,60}") {
            let shallow = is_shallow(body.as_bytes());
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&body) {
                fn depth(v: &serde_json::Value) -> usize {
                    match v {
                        serde_json::Value::Array(l) => 1 + l.iter().map(depth).max().unwrap_or(0),
                        serde_json::Value::Object(o) => 1 + o.values().map(depth).max().unwrap_or(0),
                        _ => 0,
                    }
                }
                prop_assert_eq!(shallow, depth(&value) <= MAX_DEPTH);
            }
            let _ = repaired(body.as_bytes());
        }
    }
}
