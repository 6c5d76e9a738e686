//! A day of traffic at one site, made up but like the real thing, and the same for the same seed.
//!
//! Visitors come by a curve of the day, make visits of one to six page views, look at a page for some
//! seconds (an engagement event for about every other view), and now and then do something (5 % custom
//! events with properties). Pages follow Zipf's law over 2,000 paths; half of the visits have a source;
//! places are cities of 30 countries, devices 60 tuples. Each event comes in a batch of its own.
//!
//! Nothing here knows the codec: no word was chosen for being easy to code.

#![allow(dead_code)]

mod tables;

use passerby_engine::event::{
    Batch, Day, Device, Event, Kind, Measure, Origin, Place, SiteId, Text, Visitor,
};
use std::num::NonZeroU64;
use tables::{CAMPAIGNS, COUNTRIES, DEVICES, SOURCES, WORDS};

/// The day of all traffic: 2025-06-16, in a zone two hours east.
pub const DAY: Day = Day(20_255);
pub const OFFSET_S: i32 = 7200;
const MIDNIGHT_MS: i64 = 20_255 * 86_400_000 - 7_200_000;

/// Batches in the order in which they are received: about `events` of them (one event each) by `visitors`
/// distinct visitors. Costs 16 bytes an event before the first is taken, then one batch at a time.
pub fn day(events: usize, visitors: usize, seed: u64) -> impl Iterator<Item = Batch> {
    let mut moments = Vec::with_capacity(events + events / 8);
    for visitor in 0..visitors as u32 {
        // The first so many visitors have one event more, so that the sum comes out.
        let share = events / visitors + usize::from((visitor as usize) < events % visitors);
        plan(&mut moments, visitor, share.max(1), seed);
    }
    moments.sort_unstable();
    let world = World::new();
    moments.into_iter().map(move |moment| world.batch(moment, seed))
}

/// The same, all at once.
pub fn batches(events: usize, visitors: usize, seed: u64) -> Vec<Batch> {
    day(events, visitors, seed).collect()
}

/// `flushes` flushes of `size` batches each, as a busy site makes them: the events of one flush are
/// received close together, and hardly any two are of one visitor.
pub fn flushes(flushes: usize, size: usize, seed: u64) -> Vec<Vec<Batch>> {
    // The events of twenty flushes, dealt out in turn.
    let all = batches(flushes.max(20) * size, (flushes.max(20) * size / 3).max(1), seed);
    let mut dealt = vec![Vec::with_capacity(size); flushes.max(20)];
    let n = dealt.len();
    for (i, mut batch) in all.into_iter().enumerate() {
        // Twenty events a millisecond at the fullest: about what one process can append.
        let moved = MIDNIGHT_MS + 36_000_000 + i as i64 / 20 - batch.received_ms;
        batch.received_ms += moved;
        batch.events.iter_mut().for_each(|event| event.at_ms += moved);
        dealt[i % n].push(batch);
    }
    dealt.truncate(flushes);
    dealt
}

/// When an event is received, whose it is, and which of that visitor's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at_ms: u32,
    visitor: u32,
    visit: u16,
    step: u16,
}

/// Spreads a visitor's events over visits and the day.
fn plan(moments: &mut Vec<Moment>, visitor: u32, mut share: usize, seed: u64) {
    let mut random = Random::of(seed, u64::from(visitor), 1);
    let mut visit = 0;
    while share > 0 {
        // Two in five visits end after their first page.
        let steps = (1 + (random.unit() * random.unit() * 9.0) as usize).min(share);
        let mut at_ms = time_of_day(&mut random);
        for step in 0..steps {
            moments.push(Moment { at_ms: at_ms as u32, visitor, visit, step: step as u16 });
            at_ms = (at_ms + 2_000.0 + random.exponential(45_000.0)).min(86_399_000.0);
        }
        share -= steps;
        visit += 1;
    }
}

/// Milliseconds after midnight: quiet at night, busy from ten to ten.
fn time_of_day(random: &mut Random) -> f64 {
    loop {
        let at = random.unit();
        let busy = 0.15 + 0.85 * (std::f64::consts::PI * (at - 0.125).clamp(0.0, 1.0)).sin().powi(2);
        if random.unit() < busy {
            return at * 86_399_000.0;
        }
    }
}

/// What all traffic draws from.
struct World {
    pages: Vec<Text>,
    referrers: Vec<Text>,
    page_rank: Zipf,
    country_rank: Zipf,
    city_rank: Zipf,
    device_rank: Zipf,
    source_rank: Zipf,
    referrer_rank: Zipf,
}

impl World {
    fn new() -> World {
        let mut random = Random::of(7, 7, 7);
        World {
            pages: (0..2000).map(|rank| page(rank, &mut random)).collect(),
            referrers: (0..300).map(|_| referrer(&mut random)).collect(),
            page_rank: Zipf::new(2000, 1.0),
            country_rank: Zipf::new(COUNTRIES.len(), 1.0),
            city_rank: Zipf::new(8, 0.9),
            device_rank: Zipf::new(DEVICES.len(), 0.8),
            source_rank: Zipf::new(SOURCES.len(), 1.1),
            referrer_rank: Zipf::new(300, 0.9),
        }
    }

    fn batch(&self, moment: Moment, seed: u64) -> Batch {
        let who = &mut Random::of(seed, u64::from(moment.visitor), 2);
        let (country, language, cities) = COUNTRIES[self.country_rank.draw(who)];
        let (region, city) =
            cities.split('|').nth(self.city_rank.draw(who)).and_then(|c| c.split_once(' ')).unwrap();
        let place = Place {
            country: country.into(),
            region: format!("{country}-{region}").into(),
            city: format!("{city}, {country}").into(),
        };
        let (class, browser, browser_version, system, system_version) = DEVICES[self.device_rank.draw(who)];
        let device = Device {
            class: class.into(),
            browser: browser.into(),
            browser_version: format!("{browser} {browser_version}").into(),
            system: system.into(),
            system_version: format!("{system} {system_version}").into(),
        };
        let language = if who.unit() < 0.1 { "en" } else { language }.into();
        let visitor = NonZeroU64::new(who.next() | 1).map(Visitor).filter(|_| who.unit() > 0.04);
        let hostname = if who.unit() < 0.97 { "www.northwind-books.com" } else { "northwind-books.com" };

        let event_seed = u64::from(moment.visit) << 32 | u64::from(moment.step);
        let random = &mut Random::of(seed ^ event_seed, u64::from(moment.visitor), 3);
        let received_ms = MIDNIGHT_MS + i64::from(moment.at_ms);
        // A visit begins with a page view; about every other later event is an engagement.
        let kind = match random.unit() {
            _ if moment.step == 0 => Kind::PageView,
            u if u < 0.09 => Kind::Custom,
            u if u < 0.4 => Kind::Engagement,
            _ => Kind::PageView,
        };
        let origin = if moment.step == 0 { self.origin(random) } else { Origin::default() };
        let age_ms = match kind {
            Kind::PageView => random.exponential(12.0),
            _ => random.exponential(2_500.0).min(10_000.0),
        };
        let mut event = Event {
            kind,
            at_ms: received_ms - age_ms as i64,
            offset_s: OFFSET_S,
            hostname: hostname.into(),
            page: self.pages[self.page_rank.draw(random)].clone(),
            origin,
            name: Text::default(),
            props: Vec::new(),
            interactive: kind == Kind::Custom,
            engaged_ms: 0,
            scroll: None,
            revenue: None,
            numbers: Vec::new(),
        };
        match kind {
            Kind::PageView => event.numbers.push((Measure::Width, width(class, who))),
            Kind::Engagement => {
                event.engaged_ms = random.exponential(25_000.0) as u32;
                event.scroll = Some((random.unit().sqrt() * 100.0) as u8);
            }
            Kind::Custom => self.custom(&mut event, random),
            _ => {}
        }
        Batch {
            id: random.next(),
            received_ms,
            sent_ms: if random.unit() < 0.02 { random.exponential(20_000.0) as u32 } else { 0 },
            site: SiteId(0x6a09_e667_f3bc_c908),
            day: DAY,
            visitor,
            place,
            device,
            language,
            events: vec![event],
        }
    }

    fn origin(&self, random: &mut Random) -> Origin {
        let mut origin = Origin::default();
        match random.unit() {
            u if u < 0.42 => {}
            u if u < 0.82 => {
                let (source, channel, referrer) = SOURCES[self.source_rank.draw(random)];
                (origin.source, origin.channel, origin.referrer) =
                    (source.into(), channel.into(), referrer.into());
            }
            u if u < 0.92 => {
                let referrer = &self.referrers[self.referrer_rank.draw(random)];
                origin.source = referrer.split('/').next().unwrap_or_default().into();
                origin.channel = "Referral".into();
                origin.referrer = referrer.clone();
            }
            _ => {
                let (source, channel, medium, campaign, content) = CAMPAIGNS[random.below(CAMPAIGNS.len())];
                (origin.source, origin.channel) = (source.into(), channel.into());
                (origin.utm_source, origin.utm_medium) = (source.to_lowercase().into(), medium.into());
                (origin.utm_campaign, origin.utm_content) = (campaign.into(), content.into());
                if medium == "cpc" {
                    origin.referrer = "google.com".into();
                    origin.utm_term = format!("{} {}", word(random), word(random)).into();
                }
            }
        }
        origin
    }

    fn custom(&self, event: &mut Event, random: &mut Random) {
        let prop = |key: &str, value: String| (Text::from(key), Text::from(value));
        let (name, props) = match random.below(4) {
            0 => ("Signup", vec![prop("plan", ["free", "team", "business"][random.below(3)].into())]),
            1 => ("Download", vec![prop("file", format!("{}-{}.pdf", word(random), word(random)))]),
            2 => (
                "Outbound Link: Click",
                vec![prop("url", format!("https://{}.org/{}", word(random), word(random)))],
            ),
            _ => {
                let size = ["paperback", "hardcover", "ebook"][random.below(3)].into();
                ("Add to Cart", vec![prop("format", size), prop("position", random.below(12).to_string())])
            }
        };
        event.name = name.into();
        event.props = props;
    }
}

/// The window's width: a visitor keeps it.
fn width(class: &str, who: &mut Random) -> i64 {
    let usual: [i64; 8] = match class {
        "Desktop" => [1920, 1536, 1440, 1366, 2560, 1280, 1707, 1680],
        "Tablet" => [820, 768, 810, 834, 1024, 1180, 800, 744],
        _ => [390, 393, 412, 360, 414, 384, 375, 430],
    };
    if who.unit() < 0.75 { usual[who.below(8)] } else { 320 + who.below(1600) as i64 }
}

fn word(random: &mut Random) -> &'static str {
    WORDS[random.below(WORDS.len())]
}

/// A path as sites have them; the first ones are the usual front pages.
fn page(rank: usize, random: &mut Random) -> Text {
    let front =
        ["/", "/pricing", "/blog", "/docs", "/about", "/shop/bestsellers", "/contact", "/search", "/login"];
    if let Some(page) = front.get(rank) {
        return Text::from(*page);
    }
    let slug = |random: &mut Random, least: usize, most: usize| {
        let n = least + random.below(most - least + 1);
        (0..n).map(|_| word(random)).collect::<Vec<_>>().join("-")
    };
    match random.below(10) {
        0..4 => format!("/blog/{}", slug(random, 2, 6)),
        4 => format!("/{}/{:02}/{}", 2019 + random.below(7), 1 + random.below(12), slug(random, 2, 5)),
        5 | 6 => format!("/shop/{}/{}-{}", word(random), slug(random, 1, 3), 1000 + random.below(9000)),
        7 | 8 => format!("/docs/{}/{}", word(random), slug(random, 1, 2)),
        _ => format!("/tag/{}", word(random)),
    }
    .into()
}

fn referrer(random: &mut Random) -> Text {
    let end = ["com", "net", "org", "de", "fr", "io", "co.uk"][random.below(7)];
    match random.below(3) {
        0 => format!("{}{}.{end}", word(random), word(random)),
        1 => format!("{}.{}.{end}/{}", word(random), word(random), word(random)),
        _ => format!("{}-{}.{end}/{}/{}", word(random), word(random), word(random), random.below(5000)),
    }
    .into()
}

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    /// A sequence of its own for each triple.
    fn of(seed: u64, of: u64, what: u64) -> Random {
        let mut random = Random(seed ^ of.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ what.rotate_left(40));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to just under 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// Ranks from 0, the chance of each falling with a power of its number.
struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    fn new(n: usize, power: f64) -> Zipf {
        let mut sum = 0.0;
        let sums = (1..=n).map(|rank| {
            sum += (rank as f64).powf(-power);
            sum
        });
        Zipf { sums: sums.collect() }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.sums.last().copied().unwrap_or(0.0);
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1)
    }
}
