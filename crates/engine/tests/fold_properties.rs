//! What holds for every day, whatever came: cut anywhere, kept and restored, sent again, frozen and replayed,
//! the fold ends the same, and it ends where a straightforward model ends.

mod common;

use common::*;
use passerby_engine::block::{Flush, blocks};
use passerby_engine::day::DayState;
use passerby_engine::event::*;
use passerby_engine::fold::{State, fold};
use passerby_engine::freeze::{freeze, replay};
use passerby_engine::rollup::{Counts, Dim, Rollup};
use passerby_engine::segment;
use passerby_engine::state::{encode_clock, encode_ids, restore};
use passerby_engine::time::{TimeZone, hours, local, parse_day, plus, start_ms};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A few visitors, pages, sources over some hours: enough for visits that overlap, end, and are come late for.
fn events() -> impl Strategy<Value = Vec<Batch>> {
    let event = (0..3_u8, 0..4_u8, 0..2_u8, 0_i64..40, any::<bool>());
    let sent = (0..5_u8, 0_i64..700, 0..3_u8, 0..3_u8, prop::collection::vec(event, 1..4));
    prop::collection::vec(sent, 1..60).prop_map(|batches| {
        let batch_of = |(n, (who, minute, source, country, events)): (usize, (u8, i64, u8, u8, Vec<_>))| {
            let mut events: Vec<Event> = events
                .into_iter()
                .map(|(kind, page, host, later, interactive): (u8, u8, u8, i64, bool)| {
                    let mut event =
                        page_view((minute + later) * 60_000 + i64::from(page) * 1_500, &format!("/{page}"));
                    event.hostname = format!("h{host}").into();
                    event.origin.source = format!("s{source}").into();
                    event.origin.utm_campaign = format!("c{page}").into();
                    event.interactive = interactive;
                    match kind {
                        0 => {}
                        1 => {
                            event.kind = Kind::Custom;
                            event.name = format!("n{page}").into();
                            event.props = vec![("key".into(), format!("v{host}").into())];
                        }
                        _ => {
                            event.kind = Kind::Engagement;
                            event.engaged_ms = 1000;
                        }
                    }
                    event
                })
                .collect();
            events.sort_by_key(|e| e.at_ms);
            let name = ["A", "B", "C", "D", "-"][usize::from(who)];
            let mut batch = batch(n as u64 + 1, name, events);
            batch.place.country = format!("C{country}").into();
            batch
        };
        batches.into_iter().enumerate().map(batch_of).collect()
    })
}

/// Zones and days: ordinary ones, of half and quarter hours, of 23, 23.5, 24.5 and 25 hours, and one that
/// begins at 01:00.
const CALENDARS: [(&str, &str); 9] = [
    ("UTC", "2024-10-04"),
    ("Asia/Kolkata", "2024-10-04"),
    ("America/St_Johns", "2024-06-04"),
    ("Asia/Kathmandu", "2024-10-04"),
    ("Europe/Berlin", "2024-03-31"),
    ("Europe/Berlin", "2024-10-27"),
    ("Australia/Lord_Howe", "2024-10-06"),
    ("Australia/Lord_Howe", "2024-04-07"),
    ("America/Havana", "2024-03-10"),
];

/// What three browsers and somebody without a visitor send on two days of a zone: in any order, up to a day
/// late, batches over midnight included. Those become two, whose visitors are hashed with the salts of their days.
fn two_days() -> impl Strategy<Value = (TimeZone, Day, Vec<Batch>)> {
    let event = (0..3_u8, 0..3_u8, prop_oneof![3 => -90_i64..90, 1 => -1500_i64..1500]);
    let sent =
        (0..4_u64, prop_oneof![2 => -60_i64..60, 1 => -1440_i64..1440], prop::collection::vec(event, 1..6));
    let calendar = prop::sample::select(&CALENDARS[..]);
    (calendar, prop::collection::vec(sent, 1..40)).prop_map(|((zone, day), sent)| {
        let (zone, day) = (TimeZone::get(zone).unwrap(), parse_day(day).unwrap());
        let [start, midnight, end] = [0, 1, 2].map(|n| start_ms(&zone, plus(day, n)));
        let mut batches = Vec::new();
        for (n, (who, minute, events)) in (1..).zip(sent) {
            let mut split: BTreeMap<Day, Vec<Event>> = BTreeMap::new();
            for (kind, page, later) in events {
                let at_ms =
                    (midnight + (minute + later) * 60_000 + i64::from(page) * 7_000).clamp(start, end - 1);
                let local = local(&zone, at_ms);
                let mut event = page_view(0, &format!("/{page}"));
                (event.at_ms, event.offset_s) = (at_ms, local.offset_s);
                match kind {
                    0 => event.origin.source = format!("s{}", n % 2).into(),
                    1 => (event.kind, event.name) = (Kind::Custom, "n".into()),
                    _ => (event.kind, event.engaged_ms) = (Kind::Engagement, 1),
                }
                split.entry(local.day).or_default().push(event);
            }
            for (of_day, mut events) in split {
                events.sort_by_key(|event| event.at_ms);
                let name = if who == 0 { "-".into() } else { format!("{who} on {of_day}") };
                let mut batch = batch(n * 2 + u64::from(of_day == day), &name, events);
                batch.day = of_day;
                batch.received_ms = end - 3_600_000 + n as i64 * 1000;
                batches.push(batch);
            }
        }
        (zone, day, batches)
    })
}

fn of_day(batches: &[Batch], day: Day) -> Vec<Batch> {
    batches.iter().filter(|batch| batch.day == day).cloned().collect()
}

fn flush(batches: &[Batch]) -> Flush {
    Flush { blocks: blocks(batches.to_vec()), dropped: Vec::new() }
}

fn rollups(day: &DayState) -> Vec<(Dim, Rollup)> {
    Dim::TABLE.iter().map(|row| (row.dim, day.rollup(row.dim))).collect()
}

fn without_drops(day: &DayState) -> Vec<(Dim, Rollup)> {
    rollups(day).into_iter().filter(|(dim, _)| *dim != Dim::Dropped).collect()
}

fn day_of(state: &State) -> &DayState {
    state.day(SITE, DAY).unwrap()
}

/// Through a checkpoint and back.
fn restart(state: &State) -> State {
    let clock = encode_clock(state);
    let ids = encode_ids(&state.batches.all());
    let days: Vec<_> = state.days.iter().map(|((site, day), s)| (*site, *day, s.encode())).collect();
    restore(Some(&clock), [&ids[..]].into_iter(), days.iter().map(|(s, d, b)| (*s, *d, &b[..]))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn cut_anywhere_and_restarted_anywhere_it_ends_the_same(batches in events(), cuts in prop::collection::vec(0..60_usize, 0..6)) {
        let mut whole = State::new();
        fold(&mut whole, &flush(&batches));

        let cuts: BTreeSet<usize> = cuts.into_iter().map(|c| c.min(batches.len())).chain([0, batches.len()]).collect();
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let mut pieces = State::new();
        for (n, cut) in cuts.windows(2).enumerate() {
            fold(&mut pieces, &flush(&batches[cut[0]..cut[1]]));
            if n % 2 == 0 {
                pieces = restart(&pieces);
            }
        }
        prop_assert_eq!(rollups(day_of(&pieces)), rollups(day_of(&whole)));
        prop_assert_eq!(day_of(&pieces).encode(), day_of(&whole).encode());
        prop_assert_eq!(pieces.clock_ms, whole.clock_ms);
        prop_assert_eq!(pieces.batches.all(), whole.batches.all());
    }

    #[test]
    fn sent_again_any_number_of_times_it_ends_the_same(batches in events(), again in prop::collection::vec(0..60_usize, 0..20)) {
        let mut once = State::new();
        fold(&mut once, &flush(&batches));
        let mut often = State::new();
        for (n, batch) in batches.iter().enumerate() {
            fold(&mut often, &flush(std::slice::from_ref(batch)));
            for _ in again.iter().filter(|&&a| a == n) {
                fold(&mut often, &flush(&batches[..=n]));
            }
        }
        prop_assert_eq!(rollups(day_of(&often)), rollups(day_of(&once)));
    }

    #[test]
    fn frozen_and_replayed_it_counts_the_same(batches in events(), cut in 0..60_usize) {
        let cut = cut.min(batches.len());
        let mut state = State::new();
        fold(&mut state, &flush(&batches[..cut]));
        let mut parts = Vec::new();
        if let Some(day) = state.days.get_mut(&(SITE, DAY)) {
            parts.extend(day.take_part());
        }
        let parts: Vec<_> = parts.iter().map(|p| segment::decode_part(&segment::encode_part(p)).unwrap()).collect();
        fold(&mut state, &flush(&batches[cut..]));
        let day = day_of(&state);
        let frozen = segment::decode(&segment::encode(&freeze(day, &parts))).unwrap();

        prop_assert_eq!(frozen.events.events.len(), day.counted as usize);
        prop_assert_eq!(frozen.visits.len() as i64, day.cells.total.visits);
        let mut again = State::new();
        fold(&mut again, &Flush { blocks: vec![replay(&frozen)], dropped: Vec::new() });
        if let Some(replayed) = again.day(SITE, DAY) {
            prop_assert_eq!(without_drops(replayed), without_drops(day));
        } else {
            prop_assert_eq!(day.counted, 0);
        }
    }

    #[test]
    fn it_counts_what_a_straightforward_model_counts(batches in events()) {
        let mut state = State::new();
        for batch in &batches {
            fold(&mut state, &flush(std::slice::from_ref(batch)));
        }
        let model = Model::of(&batches);
        for (dim, rollup) in rollups(day_of(&state)) {
            let modelled = model.rollup(dim);
            prop_assert_eq!(rollup, modelled, "{:?}", dim);
        }
    }

    /// Each day counts for itself what a model makes of its batches, whatever its length and its hours.
    #[test]
    fn two_days_of_any_zone_count_what_the_model_counts((zone, first, batches) in two_days()) {
        let mut state = State::new();
        batches.iter().for_each(|batch| drop(fold(&mut state, &flush(std::slice::from_ref(batch)))));
        for day in [first, plus(first, 1)] {
            let own = of_day(&batches, day);
            let Some(folded) = state.day(SITE, day) else {
                prop_assert!(own.is_empty());
                continue;
            };
            let model = Model::of(&own);
            for (dim, rollup) in rollups(folded) {
                prop_assert_eq!(rollup, model.rollup(dim), "{:?} of {}", dim, day);
            }
            let names: Vec<String> = hours(&zone, day).iter().map(|hour| format!("{hour:02}")).collect();
            let hours = folded.rollup(Dim::Hour).cells;
            prop_assert!(hours.iter().all(|(hour, _)| names.iter().any(|name| name == hour)), "{:?}", hours);
            // At rest it keeps its hours, whatever the offsets.
            let frozen = segment::decode(&segment::encode(&freeze(folded, &[]))).unwrap();
            let mut again = State::new();
            fold(&mut again, &Flush { blocks: vec![replay(&frozen)], dropped: Vec::new() });
            if let Some(replayed) = again.day(SITE, day) {
                prop_assert_eq!(without_drops(replayed), without_drops(folded));
            } else {
                prop_assert_eq!(folded.counted, 0);
            }
            // It stays open for as long as its salt lives: half an hour past the zone's midnight.
            let salted_ms = start_ms(&zone, plus(day, 1)) + 30 * 60_000;
            let clock = State { clock_ms: salted_ms, ..state.clone() };
            prop_assert!(!clock.over(i64::MAX).contains(&(SITE, day)));
            // A day without a visitor waits 26 hours, and up to 26 more where no event has told its zone.
            let clock = State { clock_ms: salted_ms + 52 * 3_600_000, ..state.clone() };
            prop_assert!(clock.over(i64::MAX).contains(&(SITE, day)));
            prop_assert!(!clock.over(salted_ms).contains(&(SITE, day)), "the clock on the wall lags behind");
        }
    }

    #[test]
    fn two_days_cut_restarted_and_sent_again_end_the_same((_, first, batches) in two_days(), cut in 0..80_usize, again in 0..80_usize) {
        let mut whole = State::new();
        fold(&mut whole, &flush(&batches));
        let cut = cut.min(batches.len());
        let mut pieces = State::new();
        fold(&mut pieces, &flush(&batches[..cut]));
        pieces = restart(&pieces);
        fold(&mut pieces, &flush(&batches[again.min(cut)..cut]));
        fold(&mut pieces, &flush(&batches[cut..]));
        for day in [first, plus(first, 1)] {
            let [whole, pieces] = [&whole, &pieces].map(|state| state.day(SITE, day).map(DayState::encode));
            prop_assert_eq!(whole, pieces, "{}", day);
        }
    }

    /// The log's order matters within a visitor alone, who may have begun a visit with this event or that.
    #[test]
    fn the_order_of_different_visitors_does_not_matter((_, _, batches) in two_days(), reverse in any::<bool>()) {
        let mut sorted = batches.clone();
        sorted.sort_by_key(|batch| batch.visitor);
        if reverse {
            sorted.sort_by_key(|batch| std::cmp::Reverse(batch.visitor));
        }
        let [one, other] = [batches, sorted].map(|batches| {
            let mut state = State::new();
            batches.iter().for_each(|batch| drop(fold(&mut state, &flush(std::slice::from_ref(batch)))));
            state.days.values().map(|day| (day.day, rollups(day))).collect::<Vec<_>>()
        });
        prop_assert_eq!(one, other);
    }

    /// Caps hold and end the same, whether or not the state was kept in between: properties, of which pages may
    /// send any number, and some of which have the name of what a cap makes.
    #[test]
    fn invented_properties_end_the_same_wherever_the_log_is_cut(
        keys in 1..130_u32, values in 1..330_u32, other_key in any::<bool>(), other_value in any::<bool>(), cut in 0..400_u32,
    ) {
        let batch_of = |n: u32| {
            let mut event = page_view(i64::from(n) * 1000, "/");
            let key = if other_key && n % 7 == 3 { "(other)".into() } else { format!("k{}", n % keys) };
            let value = if other_value && n % 5 == 2 { "(other)".into() } else { format!("v{}", n % values) };
            event.props = vec![(key.into(), value.into()), ("one".into(), format!("{}", n % values).into())];
            batch(u64::from(n) + 1, "A", vec![event])
        };
        let batches: Vec<Batch> = (0..400).map(batch_of).collect();
        let mut whole = State::new();
        fold(&mut whole, &flush(&batches));
        let mut pieces = State::new();
        fold(&mut pieces, &flush(&batches[..cut as usize]));
        pieces = restart(&pieces);
        fold(&mut pieces, &flush(&batches[cut as usize..]));
        prop_assert_eq!(rollups(day_of(&whole)), rollups(day_of(&pieces)));
    }

    #[test]
    fn a_damaged_state_is_an_error_and_not_a_panic(batches in events(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut state = State::new();
        fold(&mut state, &flush(&batches));
        let mut bytes = day_of(&state).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let _ = DayState::decode(SITE, DAY, &bytes);
    }
}

/// The day counted the slow way: all visits with all their events, and sets of names.
#[derive(Default)]
struct Model {
    visits: Vec<ModelVisit>,
    loose: Vec<(Batch, Event)>,
    no_visit: i64,
}

struct ModelVisit {
    visitor: Visitor,
    /// As the log brought them; the first one names the visit.
    events: Vec<(Batch, Event)>,
    engagements: Vec<i64>,
}

impl ModelVisit {
    fn counted(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|(_, e)| e)
    }

    fn views(&self) -> Vec<&Event> {
        self.counted().filter(|e| e.kind == Kind::PageView).collect()
    }

    fn holds(&self, at: i64) -> bool {
        let start = self.counted().map(|e| e.at_ms).min().unwrap();
        let end = self.counted().map(|e| e.at_ms).chain(self.engagements.iter().copied()).max().unwrap();
        at >= start - 1_800_000 && at <= end + 1_800_000
    }

    fn counts(&self) -> Counts {
        let times: Vec<i64> = self.counted().map(|e| e.at_ms).collect();
        let views = self.views().len() as i64;
        let events = self.events.len() as i64 - views;
        let interacted = self.counted().any(|e| e.kind == Kind::Custom && e.interactive);
        Counts {
            visits: 1,
            pageviews: views,
            events,
            engaged: i64::from(views >= 2 || interacted),
            duration_s: (times.iter().max().unwrap() - times.iter().min().unwrap()) / 1000,
            ..Counts::default()
        }
    }

    fn exit(&self) -> Option<&Event> {
        // Of several at the greatest time the last in the log: max_by_key keeps the last one.
        self.views().into_iter().max_by_key(|e| e.at_ms)
    }
}

impl Model {
    fn of(batches: &[Batch]) -> Model {
        let mut model = Model::default();
        for batch in batches {
            for event in &batch.events {
                let Some(visitor) = batch.visitor else {
                    match event.kind {
                        Kind::Engagement => model.no_visit += 1,
                        _ => model.loose.push((batch.clone(), event.clone())),
                    }
                    continue;
                };
                let found =
                    model.visits.iter_mut().rev().find(|v| v.visitor == visitor && v.holds(event.at_ms));
                match (found, event.kind) {
                    (Some(visit), Kind::Engagement) => visit.engagements.push(event.at_ms),
                    (None, Kind::Engagement) => model.no_visit += 1,
                    (Some(visit), _) => visit.events.push((batch.clone(), event.clone())),
                    (None, _) => model.visits.push(ModelVisit {
                        visitor,
                        events: vec![(batch.clone(), event.clone())],
                        engagements: Vec::new(),
                    }),
                }
            }
        }
        model
    }

    fn rollup(&self, dim: Dim) -> Rollup {
        let mut cells: BTreeMap<String, (Counts, BTreeSet<Visitor>)> = BTreeMap::new();
        let mut add = |value: String, counts: Counts, visitor: Option<Visitor>| {
            let cell = cells.entry(value).or_default();
            cell.0 += counts;
            cell.1.extend(visitor);
        };
        let visits = Counts { visits: 1, ..Counts::default() };
        match dim {
            Dim::Dropped => {
                if self.no_visit > 0 {
                    add("no_visit".into(), Counts { events: self.no_visit, ..Counts::default() }, None);
                }
            }
            Dim::Page | Dim::Hostname | Dim::EventName | Dim::Prop => {
                for visit in &self.visits {
                    let mut here = BTreeSet::new();
                    for event in visit.counted() {
                        for value in event_values(event, dim) {
                            add(value.clone(), one(event, false), Some(visit.visitor));
                            here.insert(value);
                        }
                    }
                    here.into_iter().for_each(|value| add(value, visits, None));
                }
                for (_, event) in &self.loose {
                    event_values(event, dim).into_iter().for_each(|value| add(value, one(event, true), None));
                }
            }
            Dim::Hour => {
                let local_ms = |e: &Event| e.at_ms + i64::from(e.offset_s) * 1000;
                let hour = |e: &Event| format!("{:02}", local_ms(e).rem_euclid(86_400_000) / 3_600_000);
                for visit in &self.visits {
                    let c = visit.counts();
                    let opened = Counts {
                        visits: 1,
                        engaged: c.engaged,
                        duration_s: c.duration_s,
                        ..Counts::default()
                    };
                    add(hour(&visit.events[0].1), opened, None);
                    visit.counted().for_each(|e| add(hour(e), one(e, false), Some(visit.visitor)));
                }
                self.loose.iter().for_each(|(_, e)| add(hour(e), one(e, true), None));
            }
            _ => {
                for visit in &self.visits {
                    if let Some(value) = visit_value(visit, dim) {
                        add(value, visit.counts(), Some(visit.visitor));
                    }
                }
                for (batch, event) in &self.loose {
                    let value = match dim {
                        Dim::Total => Some(String::new()),
                        _ => batch_value(batch, dim),
                    };
                    value.into_iter().for_each(|value| add(value, one(event, true), None));
                }
            }
        }
        let cells = cells.into_iter().map(|(value, (mut counts, visitors))| {
            counts.visitors = visitors.len() as i64;
            (Text::new(value), counts)
        });
        Rollup { cells: cells.collect() }
    }
}

fn one(event: &Event, loose: bool) -> Counts {
    let view = event.kind == Kind::PageView;
    Counts {
        pageviews: i64::from(view),
        events: i64::from(!view),
        loose: i64::from(view && loose),
        ..Counts::default()
    }
}

fn event_values(event: &Event, dim: Dim) -> Vec<String> {
    let view = event.kind == Kind::PageView;
    match dim {
        Dim::Page if view => vec![event.page.to_string()],
        Dim::Hostname => vec![event.hostname.to_string()],
        Dim::EventName if !view => vec![event.name.to_string()],
        Dim::Prop => event.props.iter().map(|(k, v)| format!("{k}\0{v}")).collect(),
        _ => Vec::new(),
    }
}

/// Values of dimensions that a batch has.
fn batch_value(batch: &Batch, dim: Dim) -> Option<String> {
    let text = match dim {
        Dim::Country => &batch.place.country,
        Dim::Region => &batch.place.region,
        Dim::City => &batch.place.city,
        Dim::Device => &batch.device.class,
        Dim::Browser => &batch.device.browser,
        Dim::BrowserVersion => &batch.device.browser_version,
        Dim::System => &batch.device.system,
        Dim::SystemVersion => &batch.device.system_version,
        Dim::Language => &batch.language,
        _ => return None,
    };
    Some(text.to_string())
}

fn visit_value(visit: &ModelVisit, dim: Dim) -> Option<String> {
    let (batch, event) = &visit.events[0];
    let origin = &event.origin;
    let text = match dim {
        Dim::Total => return Some(String::new()),
        Dim::EntryPage => &visit.views().first()?.page,
        Dim::ExitPage => &visit.exit()?.page,
        Dim::Source => &origin.source,
        Dim::Channel => &origin.channel,
        Dim::Referrer => &origin.referrer,
        Dim::UtmSource => &origin.utm_source,
        Dim::UtmMedium => &origin.utm_medium,
        Dim::UtmCampaign => &origin.utm_campaign,
        Dim::UtmContent => &origin.utm_content,
        Dim::UtmTerm => &origin.utm_term,
        _ => return batch_value(batch, dim),
    };
    Some(text.to_string())
}
