//! A batch as it was written: each field of whatever type, borrowed from the body.
//!
//! Keys are matched by hand rather than derived, so that a key that stands twice, or one that we do not
//! know, loses nothing; and events after the hundredth are stepped over, not kept.

use crate::json::{Json, Key};
use crate::receive::{Form, MAX_EVENTS, MEASURES};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A request as it was written.
#[derive(Default)]
pub(crate) struct RawBatch<'a> {
    pub(crate) form: Form,
    pub(crate) v: Json<'a>,
    pub(crate) site: Json<'a>,
    pub(crate) batch: Json<'a>,
    pub(crate) sent: Json<'a>,
    pub(crate) events: RawEvents<'a>,
}

#[derive(Default)]
pub(crate) enum RawEvents<'a> {
    /// No list of events.
    #[default]
    Missing,
    /// The first [`MAX_EVENTS`], and how many there are.
    Read { events: Vec<RawElement<'a>>, count: usize },
}

pub(crate) enum RawElement<'a> {
    Event(Box<RawEvent<'a>>),
    /// Not an object, or not to be read.
    Other,
}

#[derive(Default)]
pub(crate) struct RawEvent<'a> {
    pub(crate) kind: Json<'a>,
    pub(crate) url: Json<'a>,
    pub(crate) pathname: Json<'a>,
    pub(crate) referrer: Json<'a>,
    pub(crate) age: Json<'a>,
    pub(crate) timestamp: Json<'a>,
    pub(crate) name: Json<'a>,
    pub(crate) props: Json<'a>,
    pub(crate) interactive: Json<'a>,
    pub(crate) engaged: Json<'a>,
    pub(crate) scroll: Json<'a>,
    pub(crate) revenue: Json<'a>,
    pub(crate) hash: Json<'a>,
    /// In the order of [`MEASURES`].
    pub(crate) numbers: [Json<'a>; 8],
}

impl<'a> RawEvent<'a> {
    fn field(&mut self, key: &str) -> Option<&mut Json<'a>> {
        Some(match key {
            "type" => &mut self.kind,
            "url" => &mut self.url,
            "pathname" => &mut self.pathname,
            "ref" | "referrer" => &mut self.referrer,
            "age" => &mut self.age,
            "timestamp" => &mut self.timestamp,
            "name" => &mut self.name,
            "props" => &mut self.props,
            "interactive" => &mut self.interactive,
            "engaged" => &mut self.engaged,
            "scroll" => &mut self.scroll,
            "revenue" => &mut self.revenue,
            "hash" => &mut self.hash,
            key => {
                let at = MEASURES.iter().position(|row| row.0 == key)?;
                return self.numbers.get_mut(at);
            }
        })
    }
}

pub(crate) fn parse(body: &[u8]) -> serde_json::Result<RawBatch<'_>> {
    serde_json::from_slice(body)
}

/// The same, with each event read on its own, so that one that cannot be read harms no other. Slower.
pub(crate) fn parse_one_by_one(body: &[u8]) -> serde_json::Result<RawBatch<'_>> {
    #[derive(serde::Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, default)]
        v: Option<&'a RawValue>,
        #[serde(borrow, default)]
        site: Option<&'a RawValue>,
        #[serde(borrow, default)]
        batch: Option<&'a RawValue>,
        #[serde(borrow, default)]
        sent: Option<&'a RawValue>,
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    fn read<'a>(value: Option<&'a RawValue>) -> Json<'a> {
        value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
    }
    let bare = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let outer = if bare {
        Outer { v: None, site: None, batch: None, sent: None, events: serde_json::from_slice(body)? }
    } else {
        serde_json::from_slice(body)?
    };
    let count = outer.events.len();
    let events = outer.events.into_iter().take(MAX_EVENTS);
    let events = events.map(|raw| serde_json::from_str(raw.get()).unwrap_or(RawElement::Other)).collect();
    Ok(RawBatch {
        form: if bare { Form::Bare } else { Form::Batch },
        v: read(outer.v),
        site: read(outer.site),
        batch: read(outer.batch),
        sent: read(outer.sent),
        events: RawEvents::Read { events, count },
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for RawBatch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrList;
        impl<'de> Visitor<'de> for ObjectOrList {
            type Value = RawBatch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a batch, or a list of events")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawBatch<'de>, A::Error> {
                let mut raw = RawBatch::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "v" => raw.v = map.next_value()?,
                        "site" => raw.site = map.next_value()?,
                        "batch" => raw.batch = map.next_value()?,
                        "sent" => raw.sent = map.next_value()?,
                        "events" => raw.events = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(raw)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawBatch<'de>, A::Error> {
                Ok(RawBatch {
                    form: Form::Bare,
                    events: EventsVisitor.visit_seq(list)?,
                    ..RawBatch::default()
                })
            }
        }
        deserializer.deserialize_any(ObjectOrList)
    }
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = RawEvents<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of events")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEvents<'de>, A::Error> {
        let mut events = Vec::new();
        let mut count = 0;
        while events.len() < MAX_EVENTS {
            let Some(event) = list.next_element()? else {
                return Ok(RawEvents::Read { events, count });
            };
            events.push(event);
            count += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(RawEvents::Read { events, count })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEvents<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawElement<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Element;
        impl<'de> Visitor<'de> for Element {
            type Value = RawElement<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawElement<'de>, A::Error> {
                let mut event = Box::<RawEvent>::default();
                while let Some(Key(key)) = map.next_key()? {
                    match event.field(&key) {
                        Some(field) => *field = map.next_value()?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(RawElement::Event(event))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawElement<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawElement::Other)
            }
            fn visit_unit<E>(self) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
            fn visit_str<E>(self, _: &str) -> Result<RawElement<'de>, E> {
                Ok(RawElement::Other)
            }
        }
        deserializer.deserialize_any(Element)
    }
}
