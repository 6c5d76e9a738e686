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

fn flush(batches: &[Batch]) -> Flush {
    Flush { blocks: blocks(batches.to_vec()), dropped: Vec::new() }
}

fn rollups(day: &DayState) -> Vec<(Dim, Rollup)> {
    Dim::TABLE.iter().map(|row| (row.dim, day.rollup(row.dim))).collect()
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
        let without_drops = |day: &DayState| -> Vec<_> {
            rollups(day).into_iter().filter(|(dim, _)| *dim != Dim::Dropped).collect()
        };
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
                let hour = |e: &Event| format!("{:02}", e.at_ms.rem_euclid(86_400_000) / 3_600_000);
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
