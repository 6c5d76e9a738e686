//! Plausible's event: one JSON object a request, with short or long names (`POST /api/event`).
//!
//! After its server's behaviour rather than its documentation, where they differ. Ours is stricter in one
//! thing: the body may be 64 KiB, not a megabyte, and nested 8 deep.

use crate::event::{Kind, Text};
use crate::json::{self, Json, Key};
use crate::receive::{Form, Hit, Hits, MAX_BODY, props, revenue};
use crate::url;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

const MAX_URL: usize = 2_000;
const MAX_REFERRER_CHARS: usize = 2_000;
const MAX_NAME_CHARS: usize = 120;
/// Most sites in the list of domains; each costs a lookup.
const MAX_DOMAINS: usize = 100;
/// Greatest engaged time, ms: 30 days.
const MAX_ENGAGED_MS: i64 = 30 * 86_400_000;

/// Events for which `interactive` is not looked at: they always are.
const SYSTEM_EVENTS: [&str; 6] = [
    "Outbound Link: Click",
    "Cloaked Link: Click",
    "File Download",
    "404",
    "WP Form Completions",
    "Form: Submission",
];

/// Why a Plausible event was refused. Printed as the body of the 400: `{"errors":{"url":["is required"]}}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlausibleRefusal {
    /// Not a JSON object, too long or too deep.
    Request,
    /// No url.
    NoUrl,
    /// Not a text, longer than 2,000 bytes, or a `data:` url.
    BadUrl,
    /// An empty domain, or none and a url without a host.
    NoDomain,
    /// More than 100 domains.
    TooManyDomains,
    /// No name, or a blank one.
    NoName,
    /// A name of more than 120 characters, or that is neither text nor whole number.
    BadName,
    /// A property key of more than 300 bytes or a value of more than 2,000.
    LongProps,
    /// An engagement event with neither a scroll depth nor an engaged time.
    NothingMeasured,
}

impl PlausibleRefusal {
    /// The field and what is wrong with it.
    pub fn field_and_message(self) -> (&'static str, &'static str) {
        match self {
            PlausibleRefusal::Request => ("request", "Unable to parse request body as json"),
            PlausibleRefusal::NoUrl => ("url", "is required"),
            PlausibleRefusal::BadUrl => ("url", "must be a valid url"),
            PlausibleRefusal::NoDomain => ("domain", "can't be blank"),
            PlausibleRefusal::TooManyDomains => ("domain", "should have at most 100 item(s)"),
            PlausibleRefusal::NoName => ("event_name", "can't be blank"),
            PlausibleRefusal::BadName => ("event_name", "should be at most 120 character(s)"),
            PlausibleRefusal::LongProps => {
                ("props", "keys may have at most 300 bytes and values at most 2000 bytes")
            }
            PlausibleRefusal::NothingMeasured => {
                ("event_name", "engagement needs a whole number in 'sd' or 'e'")
            }
        }
    }
}

impl fmt::Display for PlausibleRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, message) = self.field_and_message();
        write!(f, "{{\"errors\":{{\"{field}\":[\"{message}\"]}}}}")
    }
}

/// Reads Plausible's event. It happened now: the format knows no other time.
pub fn plausible(body: &[u8]) -> Result<Hits, PlausibleRefusal> {
    if body.len() > MAX_BODY || !json::is_shallow(body) {
        return Err(PlausibleRefusal::Request);
    }
    let repaired;
    let raw: RawEvent = match serde_json::from_slice(body) {
        Ok(raw) => raw,
        Err(_) => {
            repaired = json::repaired(body).ok_or(PlausibleRefusal::Request)?;
            serde_json::from_slice(&repaired).map_err(|_| PlausibleRefusal::Request)?
        }
    };
    let url = url(&raw.url)?;
    let sites = sites(&raw.domain, url)?;
    let name = name(&raw.name)?;
    let kind = match name.as_str() {
        "pageview" => Kind::PageView,
        "engagement" => Kind::Engagement,
        _ => Kind::Custom,
    };
    let (mut scroll, mut engaged_ms) = (None, 0);
    if kind == Kind::Engagement {
        scroll = whole(&raw.scroll).filter(|percent| *percent >= 0).map(|percent| percent.min(100) as u8);
        engaged_ms = whole(&raw.engaged).filter(|ms| (0..MAX_ENGAGED_MS).contains(ms)).unwrap_or(0) as u32;
        if scroll.is_none() && engaged_ms == 0 {
            return Err(PlausibleRefusal::NothingMeasured);
        }
    }
    let system = kind != Kind::Custom || SYSTEM_EVENTS.contains(&name.as_str());
    let hit = Hit {
        index: 0,
        kind,
        url: Text::from(url),
        referrer: raw.referrer.text().map(first_chars).unwrap_or_default(),
        age_ms: 0,
        hash_mode: matches!(raw.hash, Json::Int(1) | Json::Bool(true)),
        name: if kind == Kind::Custom { name } else { Text::default() },
        props: props(raw.props).ok_or(PlausibleRefusal::LongProps)?,
        interactive: system || !raw.not_interactive,
        engaged_ms,
        scroll,
        revenue: revenue(&raw.revenue).filter(|_| kind == Kind::Custom),
        numbers: Vec::new(),
    };
    Ok(Hits { form: Form::Plausible, sites, hits: vec![hit], ..Hits::default() })
}

fn url<'a>(field: &'a Json) -> Result<&'a str, PlausibleRefusal> {
    if field.is_none() {
        return Err(PlausibleRefusal::NoUrl);
    }
    let url = field.text().filter(|url| url.len() <= MAX_URL).ok_or(PlausibleRefusal::BadUrl)?;
    let parts = url::parts(url);
    let host_or_none = parts.host.is_empty() || url::is_host(parts.host);
    if parts.scheme.eq_ignore_ascii_case("data") || !host_or_none {
        return Err(PlausibleRefusal::BadUrl);
    }
    Ok(url)
}

/// The domains of the list, each once; without a list the url's host.
fn sites(field: &Json, url: &str) -> Result<Vec<Text>, PlausibleRefusal> {
    let mut sites: Vec<Text> = Vec::new();
    if field.is_none() {
        sites.push(url::hostname(url::parts(url).host));
    } else {
        let list =
            field.text().map(str::trim).filter(|list| !list.is_empty()).ok_or(PlausibleRefusal::NoDomain)?;
        for domain in list.split(',').map(url::hostname) {
            if !domain.is_empty() && !sites.contains(&domain) {
                sites.push(domain);
            }
            if sites.len() > MAX_DOMAINS {
                return Err(PlausibleRefusal::TooManyDomains);
            }
        }
    }
    sites.retain(|site| !site.is_empty());
    if sites.is_empty() { Err(PlausibleRefusal::NoDomain) } else { Ok(sites) }
}

fn name(field: &Json) -> Result<Text, PlausibleRefusal> {
    let name = match field {
        Json::Int(_) | Json::Text(_) => field.printed().unwrap_or_default(),
        none if none.is_none() => return Err(PlausibleRefusal::NoName),
        _ => return Err(PlausibleRefusal::BadName),
    };
    if name.trim().is_empty() {
        return Err(PlausibleRefusal::NoName);
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(PlausibleRefusal::BadName);
    }
    Ok(url::plain(&name, usize::MAX))
}

/// A whole number, or a text of one.
fn whole(field: &Json) -> Option<i64> {
    match field {
        Json::Int(number) => Some(*number),
        Json::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn first_chars(text: &str) -> Text {
    match text.char_indices().nth(MAX_REFERRER_CHARS) {
        Some((end, _)) => Text::from(&text[..end]),
        None => Text::from(text),
    }
}

/// The fields that we read, short and long names already merged.
#[derive(Default)]
struct RawEvent<'a> {
    name: Json<'a>,
    url: Json<'a>,
    domain: Json<'a>,
    referrer: Json<'a>,
    props: Json<'a>,
    revenue: Json<'a>,
    hash: Json<'a>,
    scroll: Json<'a>,
    engaged: Json<'a>,
    not_interactive: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = RawEvent<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEvent<'de>, A::Error> {
                let mut raw = RawEvent::default();
                // Long names, and the less preferred of the properties: used where the others are missing.
                let mut long = RawEvent::default();
                let (mut meta, mut p, mut long_props) = (Json::Missing, Json::Missing, Json::Missing);
                while let Some(Key(key)) = map.next_key()? {
                    let field = match &*key {
                        "n" => &mut raw.name,
                        "name" => &mut long.name,
                        "u" => &mut raw.url,
                        "url" => &mut long.url,
                        "d" => &mut raw.domain,
                        "domain" => &mut long.domain,
                        "r" => &mut raw.referrer,
                        "referrer" => &mut long.referrer,
                        "m" => &mut raw.props,
                        "meta" => &mut meta,
                        "p" => &mut p,
                        "props" => &mut long_props,
                        "$" => &mut raw.revenue,
                        "revenue" => &mut long.revenue,
                        "h" => &mut raw.hash,
                        "hashMode" => &mut long.hash,
                        "sd" => &mut raw.scroll,
                        "e" => &mut raw.engaged,
                        "i" | "interactive" => {
                            raw.not_interactive |= map.next_value::<Json>()? == Json::Bool(false);
                            continue;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = map.next_value()?;
                }
                Ok(RawEvent {
                    name: raw.name.or(long.name),
                    url: raw.url.or(long.url),
                    domain: raw.domain.or(long.domain),
                    referrer: raw.referrer.or(long.referrer),
                    props: raw.props.or(meta).or(p).or(long_props),
                    revenue: raw.revenue.or(long.revenue),
                    hash: raw.hash.or(long.hash),
                    ..raw
                })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// Bodies, one a line, in; what is read of them, or the refusal, out.
    fn check(bodies: &str, expected: Expect) {
        let mut out = String::new();
        for body in bodies.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match plausible(body.as_bytes()) {
                Err(refusal) => out += &format!("{refusal}\n"),
                Ok(hits) => {
                    let hit = &hits.hits[0];
                    out += &format!("{:?} {:?} {}", hits.sites, hit.kind, hit.url);
                    for (name, text) in [("name", hit.name.as_str()), ("ref", &hit.referrer)] {
                        out += &if text.is_empty() { String::new() } else { format!(" {name}={text}") };
                    }
                    out += if hit.interactive { "" } else { " passive" };
                    out += if hit.hash_mode { " hash" } else { "" };
                    if !hit.props.is_empty() {
                        out += &format!(" {:?}", hit.props);
                    }
                    if hit.kind == Kind::Engagement {
                        out += &format!(" scroll={:?} engaged={}", hit.scroll, hit.engaged_ms);
                    }
                    if let Some(revenue) = hit.revenue {
                        out += &format!(" {} {}", revenue.milli, String::from_utf8_lossy(&revenue.currency));
                    }
                    out.push('\n');
                }
            }
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn short_and_long_names() {
        check(
            r#"{"n":"pageview","u":"https://e.com/a?b#c","d":"e.com","r":"https://x.org/","h":1,"v":36}
               {"name":"Signup","url":"https://e.com/a","domain":"e.com","referrer":"https://x.org/","hashMode":1,"props":{"a":1},"revenue":{"amount":10,"currency":"USD"},"interactive":false}
               {"n":"a","name":"b","u":"https://e.com/a","url":"https://e.com/b","d":null,"domain":"f.com"}
               {"n":"pageview","u":"https://e.com/a","r":5,"h":2,"new":[]}"#,
            expect![[r#"
                ["e.com"] PageView https://e.com/a?b#c ref=https://x.org/ hash
                ["e.com"] Custom https://e.com/a name=Signup ref=https://x.org/ passive hash [("a", "1")] 10000 USD
                ["f.com"] Custom https://e.com/a name=a
                ["e.com"] PageView https://e.com/a
            "#]],
        );
    }

    #[test]
    fn domains() {
        check(
            r#"{"n":"pageview","u":"https://www.e.com/","d":" a.com, www.b.com ,a.com,, "}
               {"n":"pageview","u":"https://www.e.com/"}
               {"n":"pageview","u":"https://www.e.com/","d":null}
               {"n":"pageview","u":"https://www.e.com/","d":""}
               {"n":"pageview","u":"https://www.e.com/","d":" , "}
               {"n":"pageview","u":"https://www.e.com/","d":7}
               {"n":"pageview","u":"/a"}
               {"n":"pageview","u":"/a","d":"e.com"}"#,
            expect![[r#"
                ["a.com", "b.com"] PageView https://www.e.com/
                ["e.com"] PageView https://www.e.com/
                ["e.com"] PageView https://www.e.com/
                {"errors":{"domain":["can't be blank"]}}
                {"errors":{"domain":["can't be blank"]}}
                {"errors":{"domain":["can't be blank"]}}
                {"errors":{"domain":["can't be blank"]}}
                ["e.com"] PageView /a
            "#]],
        );
        let many: Vec<String> = (0..101).map(|n| format!("{n}.com")).collect();
        let body = format!(r#"{{"n":"pageview","u":"https://e.com/","d":"{}"}}"#, many.join(","));
        assert_eq!(plausible(body.as_bytes()), Err(PlausibleRefusal::TooManyDomains));
    }

    #[test]
    fn names_and_urls() {
        check(
            r#"{"n":404,"u":"https://e.com/x"}
               {"n":"app://","u":"app://localhost/login"}
               {"u":"https://e.com/x"}
               {"n":"  ","u":"https://e.com/x"}
               {"n":true,"u":"https://e.com/x"}
               {"n":"x"}
               {"n":"x","u":7}
               {"n":"x","u":"data:text/html,hi","d":"e.com"}
               {"n":"x","u":"https://a b/","d":"e.com"}"#,
            expect![[r#"
                ["e.com"] Custom https://e.com/x name=404
                ["localhost"] Custom app://localhost/login name=app://
                {"errors":{"event_name":["can't be blank"]}}
                {"errors":{"event_name":["can't be blank"]}}
                {"errors":{"event_name":["should be at most 120 character(s)"]}}
                {"errors":{"url":["is required"]}}
                {"errors":{"url":["must be a valid url"]}}
                {"errors":{"url":["must be a valid url"]}}
                {"errors":{"url":["must be a valid url"]}}
            "#]],
        );
        let sized = |name: usize, url: usize| {
            let body =
                format!(r#"{{"n":"{}","u":"https://e.com/{}"}}"#, "n".repeat(name), "u".repeat(url - 14));
            plausible(body.as_bytes()).map(|_| ())
        };
        assert_eq!(sized(120, 2_000), Ok(()));
        assert_eq!(sized(121, 2_000), Err(PlausibleRefusal::BadName));
        assert_eq!(sized(120, 2_001), Err(PlausibleRefusal::BadUrl));
    }

    #[test]
    fn properties_and_money() {
        check(
            r#"{"n":"x","u":"https://e.com/","p":{"s":"t","n":1,"f":0.5,"b":false,"none":null,"blank":" ","l":[],"o":{}}}
               {"n":"x","u":"https://e.com/","p":"{\"a\":\"b\"}"}
               {"n":"x","u":"https://e.com/","p":"[1]"}
               {"n":"x","u":"https://e.com/","p":"nonsense"}
               {"n":"x","u":"https://e.com/","props":{"k":4},"p":{"k":3},"meta":{"k":2},"m":{"k":1}}
               {"n":"x","u":"https://e.com/","props":{"k":4},"p":{"k":3}}
               {"n":"x","u":"https://e.com/","$":{"amount":"9.99","currency":"EUR"}}
               {"n":"x","u":"https://e.com/","$":"{\"amount\":1,\"currency\":\"eur\"}"}
               {"n":"x","u":"https://e.com/","$":{"amount":"many","currency":"EUR"}}
               {"n":"x","u":"https://e.com/","$":{"amount":1,"currency":"EURO"}}
               {"n":"x","u":"https://e.com/","$":{"amount":1e30,"currency":"EUR"}}"#,
            expect![[r#"
                ["e.com"] Custom https://e.com/ name=x [("s", "t"), ("n", "1"), ("f", "0.5"), ("b", "false")]
                ["e.com"] Custom https://e.com/ name=x [("a", "b")]
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] Custom https://e.com/ name=x [("k", "1")]
                ["e.com"] Custom https://e.com/ name=x [("k", "3")]
                ["e.com"] Custom https://e.com/ name=x 9990 EUR
                ["e.com"] Custom https://e.com/ name=x 1000 EUR
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] Custom https://e.com/ name=x
            "#]],
        );
        let long = |key: usize, value: usize| {
            let body = format!(
                r#"{{"n":"x","u":"https://e.com/","p":{{"{}":"{}"}}}}"#,
                "ü".repeat(key),
                "ü".repeat(value)
            );
            plausible(body.as_bytes()).map(|hits| hits.hits[0].props.len())
        };
        assert_eq!(long(150, 1_000), Ok(1));
        assert_eq!(long(151, 1), Err(PlausibleRefusal::LongProps));
        assert_eq!(long(1, 1_001), Err(PlausibleRefusal::LongProps));
    }

    #[test]
    fn engagement_and_interactivity() {
        check(
            r#"{"n":"engagement","u":"https://e.com/","sd":55,"e":4200}
               {"n":"engagement","u":"https://e.com/","sd":"130"}
               {"n":"engagement","u":"https://e.com/","sd":-1,"e":1}
               {"n":"engagement","u":"https://e.com/","e":2592000000,"sd":1}
               {"n":"engagement","u":"https://e.com/","e":-5}
               {"n":"engagement","u":"https://e.com/"}
               {"n":"x","u":"https://e.com/","i":false,"sd":5}
               {"n":"x","u":"https://e.com/","i":0}
               {"n":"x","u":"https://e.com/","i":"false"}
               {"n":"pageview","u":"https://e.com/","i":false}
               {"n":"Outbound Link: Click","u":"https://e.com/","i":false}
               {"n":404,"u":"https://e.com/","i":false}"#,
            expect![[r#"
                ["e.com"] Engagement https://e.com/ scroll=Some(55) engaged=4200
                ["e.com"] Engagement https://e.com/ scroll=Some(100) engaged=0
                ["e.com"] Engagement https://e.com/ scroll=None engaged=1
                ["e.com"] Engagement https://e.com/ scroll=Some(1) engaged=0
                {"errors":{"event_name":["engagement needs a whole number in 'sd' or 'e'"]}}
                {"errors":{"event_name":["engagement needs a whole number in 'sd' or 'e'"]}}
                ["e.com"] Custom https://e.com/ name=x passive
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] Custom https://e.com/ name=x
                ["e.com"] PageView https://e.com/
                ["e.com"] Custom https://e.com/ name=Outbound Link: Click
                ["e.com"] Custom https://e.com/ name=404
            "#]],
        );
    }

    #[test]
    fn bodies_that_are_none() {
        for body in ["", "[]", "5", "null", "{", r#"{"n":"x"} y"#, r#"{"p":[[[[[[[[1]]]]]]]]}"#] {
            assert_eq!(plausible(body.as_bytes()), Err(PlausibleRefusal::Request), "{body}");
        }
        let long = format!(r#"{{"n":"pageview","u":"https://e.com/","x":"{}"}}"#, "x".repeat(MAX_BODY));
        assert_eq!(plausible(long.as_bytes()), Err(PlausibleRefusal::Request));
        let lone = r#"{"n":"x\ud83d","u":"https://e.com/"}"#;
        assert_eq!(plausible(lone.as_bytes()).unwrap().hits[0].name, "x\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in any::<Vec<u8>>()) {
            let _ = plausible(&body);
        }

        #[test]
        fn refusals_are_json(fields in prop::collection::vec(("[nudrpmih$]|sd|e|name|url|domain", "\"[ -!#-\\[\\]-~]{0,30}\"|[0-9]{1,9}|true|null|\\{\\}"), 0..6)) {
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            if let Err(refusal) = plausible(format!("{{{}}}", fields.join(",")).as_bytes()) {
                let json: serde_json::Value = serde_json::from_str(&refusal.to_string()).unwrap();
                prop_assert!(json["errors"].is_object());
            }
        }
    }
}
