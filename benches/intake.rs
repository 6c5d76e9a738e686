//! What it costs to receive and enrich, without HTTP and store: `cargo bench --bench intake`.

use jiff::tz::TimeZone;
use passerby_engine::enrich::{self, BatchKey, OptOut, Peer, PlaceDetail, Rules, Tables};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::{place, receive};
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

/// 2024-05-01T12:00:00Z.
const NOW: i64 = 1_714_564_800_000;

fn main() {
    let event = |n: usize| {
        format!(
            r#"{{"type":"pageview","url":"https://example.com/blog/a-post-about-{n}?utm_source=newsletter","ref":"https://www.google.com/","age":{},"width":1440}}"#,
            n * 700
        )
    };
    let batch = |n: usize| {
        let events: Vec<String> = (0..n).map(event).collect();
        format!(
            r#"{{"v":1,"site":"example.com","batch":"9f86d081884c7d659a2f","sent":0,"events":[{}]}}"#,
            events.join(",")
        )
    };
    let plausible = r#"{"n":"pageview","u":"https://example.com/blog/a-post","d":"example.com","r":"https://www.google.com/"}"#;
    let rules = Rules {
        id: SiteId(7),
        domain: "example.com".into(),
        zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        place_detail: PlaceDetail::City,
        cut_address: false,
        opt_out: OptOut::PageViewsOnly,
        keep_bots: false,
        keep_params: Vec::new(),
    };
    let peer = Peer {
        address: IpAddr::from([203, 0, 113, 9]),
        agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        languages: "de-AT,de;q=0.9,en;q=0.8",
        opted_out: false,
        place: None,
    };
    let tables = Tables::new([1; 16], place::Tables::new());
    let salts = [(Day(19_844), [3; 16])];
    let key = BatchKey { key: [4; 16], fresh: 5 };
    let enrich = |hits: &receive::Hits| enrich::events(hits, &rules, &salts, &peer, &tables, NOW, &key);

    let track = |body: &str| receive::batch(body.as_bytes(), None, NOW).expect("a batch");
    for n in [1, 10, 100] {
        let body = batch(n);
        let hits = track(&body);
        let name = format!("batch of {n}, {} bytes", body.len());
        report(&name, n, time(|| drop(black_box(track(&body)))), time(|| drop(black_box(enrich(&hits)))));
    }
    let read = || receive::plausible(plausible.as_bytes()).expect("an event");
    let hits = read();
    report("Plausible's event", 1, time(|| drop(black_box(read()))), time(|| drop(black_box(enrich(&hits)))));
}

fn report(name: &str, events: usize, receive: f64, enrich: f64) {
    let each = (receive + enrich) / events as f64;
    println!("{name:<26} receive {receive:>7.0} ns   enrich {enrich:>7.0} ns   {each:>6.0} ns an event");
}

/// Nanoseconds of a call: the median of 21 runs of 2,000.
fn time(call: impl Fn()) -> f64 {
    let mut runs: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            (0..2_000).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / 2_000.0
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[10]
}
