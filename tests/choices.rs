//! PRIVACY.md, clauses 4, 6, 8 to 11 and 13, on the router: what is kept of a request, what a site may
//! choose, and what a stranger's headers change (nothing). What is kept is read from the log.

mod served;

use passerby::jobs;
use passerby::store::{LIVE, Put};
use passerby::web::WebConfig;
use passerby_engine::block::decode_flush;
use passerby_engine::event::{Batch, Day};
use passerby_engine::rollup::{Dim, Rollup};
use served::{BROWSER, NOON_MS, Server};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// From this address a proxy speaks.
const PROXY: &str = "10.1.2.3:4711";

fn behind_a_proxy(platform: Option<&str>) -> WebConfig {
    WebConfig {
        platform: platform.map(|name| name.parse().unwrap()),
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..WebConfig::default()
    }
}

/// All batches in the log.
async fn kept(server: &Server) -> Vec<Batch> {
    let log = server.app.store.read_log(0, 1 << 24).await.unwrap();
    let blocks = log.flushes.iter().flat_map(|(_, bytes)| decode_flush(bytes).unwrap().blocks);
    blocks.flat_map(|block| block.batches().collect::<Vec<_>>()).collect()
}

async fn last(server: &Server) -> Batch {
    kept(server).await.pop().unwrap()
}

fn page_view(site: &str) -> String {
    format!(r#"{{"v":1,"site":"{site}","events":[{{"url":"https://{site}/"}}]}}"#)
}

/// Changes a setting of example.com, as no command does yet.
async fn choose(server: &Server, key: &str, value: &str) {
    let store = &*server.app.store;
    for setting in store.settings("site/").await.unwrap() {
        let mut site: serde_json::Value = serde_json::from_slice(&setting.value).unwrap();
        if site["domain"] == "example.com" {
            site[key] = serde_json::from_str(value).unwrap();
            let value = Some(site.to_string().into_bytes());
            store.put_setting(&setting.key, setting.revision, value).await.unwrap();
        }
    }
    server.wait_ms(2_000);
}

/// One person on two sites, and on one site on two days, also within one request, has unrelated hashes, and
/// so have the batches.
#[tokio::test]
async fn clause_6_hashes_of_two_sites_and_two_days_are_unrelated() {
    let server = Server::start(WebConfig::default(), None).await;
    let send = async |body: &str| {
        let answer = server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{body}")).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    let named = |site: &str, ages: &[i64]| {
        let event = |age: &i64| format!(r#"{{"url":"https://{site}/","age":{age}}}"#);
        let events = ages.iter().map(event).collect::<Vec<_>>().join(",");
        format!(r#"{{"v":1,"site":"{site}","batch":"0123456789abcdef","events":[{events}]}}"#)
    };
    send(&page_view("example.com")).await;
    send(r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/again"}]}"#).await;
    let twice = kept(&server).await;
    assert_eq!(twice[0].visitor, twice[1].visitor, "on one site and day it is one hash");
    send(&named("example.com", &[0])).await;
    send(&named("other.example", &[0])).await;
    // To ten past the next midnight, with one event before it.
    server.wait_ms((12 * 60 + 10) * 60_000);
    send(&named("example.com", &[0, 20 * 60_000])).await;
    send(&named("other.example", &[0])).await;

    let seen: BTreeSet<_> = kept(&server).await.iter().map(|b| (b.site, b.day, b.visitor.unwrap())).collect();
    let hashes: BTreeSet<_> = seen.iter().map(|(_, _, visitor)| visitor).collect();
    assert_eq!((seen.len(), hashes.len()), (4, 4), "two sites, two days, one hash for each");
    let named: Vec<_> = kept(&server).await.into_iter().skip(2).collect();
    assert_eq!(named.len(), 5);
    let ids: BTreeSet<_> = named.iter().map(|batch| (batch.site, batch.day, batch.id)).collect();
    let ids: BTreeSet<_> = ids.iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids.len(), 4, "one batch id sent everywhere names nobody");
    for batch in kept(&server).await {
        let days = batch.events.iter().map(|event| event.at_ms.div_euclid(86_400_000));
        assert!(days.into_iter().all(|day| day == i64::from(batch.day.0)), "no batch spans two days");
    }
}

/// The timer overwrites a salt 30 minutes after its day, and nobody has to pass by for that.
#[tokio::test]
async fn clause_4_the_timer_wipes_salts_without_traffic() {
    let server = Server::start(WebConfig::default(), None).await;
    server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{}", page_view("example.com"))).await;
    let ends_ms = server.app.salts.next_wipe_ms().unwrap();
    assert_eq!(ends_ms, NOON_MS + (12 * 60 + 30) * 60_000);
    server.wait_ms(ends_ms - NOON_MS);
    let _jobs = jobs::start(&server.app);
    until("the wiping", async || server.app.salts.next_wipe_ms().is_none()).await;
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Events past their time are erased, whoever's unit they are; those within it and all counts stay.
#[tokio::test]
async fn clause_13_old_events_are_erased_and_their_counts_stay() {
    let server = Server::start(WebConfig::default(), None).await;
    let site = server.app.sites.get("example.com", NOON_MS).await.unwrap().unwrap().id;
    let store = &*server.app.store;
    let today = NOON_MS.div_euclid(86_400_000) as i32;
    let at = store.load().await.unwrap().watermark;
    let days = [today - 1000, today - 396, today - 395, today - 1].map(Day);
    let mut puts = Vec::new();
    for day in days {
        for unit in [LIVE, 77] {
            let bytes = Some(vec![1; 5000]);
            puts.push(Put::Segment { site, unit, day, part: 0, bytes });
            let bytes = Some(Rollup::default().encode());
            puts.push(Put::Rollup { site, unit, day, dim: Dim::Total, bytes });
        }
    }
    store.checkpoint(at, at, puts).await.unwrap();
    let all = Day(i32::MIN)..=Day(i32::MAX);
    let left = async || {
        let mut left = Vec::new();
        for unit in [LIVE, 77] {
            left.extend(store.segments(site, unit, all.clone()).await.unwrap().iter().map(|row| row.0));
        }
        left
    };
    assert_eq!(left().await.len(), 8);
    let _jobs = jobs::start(&server.app);
    until("the erasing", async || left().await.len() < 8).await;
    assert_eq!(left().await, [days[2], days[3], days[2], days[3]]);
    let rollups = store.rollups(site, &[Dim::Total], all.clone()).await.unwrap();
    assert_eq!(rollups.len(), 8, "counts hold no visitor");
}

/// What is answered does not depend on who asks: for two visitors who differ in all that a request can carry
/// it is the same to the byte, and nothing is set.
#[tokio::test]
async fn clause_8_two_visitors_get_the_same_bytes() {
    let server = Server::start(behind_a_proxy(None), None).await;
    let visitors = [
        ("192.0.2.7", BROWSER, "de-AT", "a=1"),
        ("2001:db8::9", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1", "fr", "b=2"),
    ];
    let etag = server.send("GET /p.js").await.header("etag");
    let (batch, other) = (page_view("example.com"), page_view("nowhere.example"));
    let plausible = r#"{"n":"pageview","u":"https://example.com/","d":"example.com"}"#;
    let asked = [
        "GET /p.js".to_owned(),
        "GET /p.js\naccept-encoding: identity".to_owned(),
        format!("GET /p.js\nif-none-match: {etag}"),
        "GET /_/nothing".to_owned(),
        "OPTIONS /api/track\norigin: https://example.com\naccess-control-request-method: POST".to_owned(),
        "GET /api/track".to_owned(),
        format!("POST /api/track\n\n{batch}"),
        format!("POST /api/track\n\n{other}"),
        "POST /api/track\n\n{".to_owned(),
        "POST /api/track\ncontent-encoding: br\n\n{}".to_owned(),
        format!("POST /api/track\n\n{}", " ".repeat(70_000)),
        format!("POST /api/event\n\n{plausible}"),
        "POST /api/event\n\n{}".to_owned(),
        "GET /health".to_owned(),
        "GET /sign-in".to_owned(),
        "GET /example.com".to_owned(),
    ];
    for request in &asked {
        let mut answers = BTreeSet::new();
        for round in 0..2 {
            for (address, agent, language, cookie) in visitors {
                let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
                let answer = server
                    .send_from(
                        PROXY,
                        &format!(
                            "{head}\nx-forwarded-for: {address}\nuser-agent: {agent}\naccept-language: {language}\ncookie: {cookie}\n\n{body}"
                        ),
                    )
                    .await;
                assert!(!answer.headers.contains_key("set-cookie"), "{request}");
                let mut headers: Vec<_> =
                    answer.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
                headers.sort();
                answers.insert(format!("{} {headers:?} {}", answer.status, answer.body));
                server.wait_ms(60_000 * (round + 1));
            }
        }
        assert_eq!(answers.len(), 1, "{request}: {answers:#?}");
    }
    // The two were two visitors all the same.
    let visitors: BTreeSet<_> = kept(&server).await.iter().map(|batch| batch.visitor).collect();
    assert_eq!(visitors.len(), 2);
}

/// Sec-GPC and DNT under each of a site's three choices.
#[tokio::test]
async fn clause_9_who_opts_out_is_counted_as_the_site_chose() {
    let events = |site: &str| {
        format!(
            r#"{{"v":1,"site":"{site}","events":[{{"url":"https://{site}/a?utm_source=x","ref":"https://from.example/","width":1440}},{{"type":"event","name":"Signup","url":"https://{site}/a"}}]}}"#
        )
    };
    // The default is the first.
    for choice in [None, Some("page_views_only"), Some("drop"), Some("ignore")] {
        for (signal, means) in [
            ("sec-gpc: 1", true),
            ("dnt: 1", true),
            ("dnt: 0", false),
            ("sec-gpc: 0", false),
            ("dnt: null", false),
        ] {
            let server = Server::start(WebConfig::default(), None).await;
            if let Some(choice) = choice {
                choose(&server, "opt_out", &format!("\"{choice}\"")).await;
            }
            let answer = server
                .send_from(
                    // An address that has a place.
                    "8.8.8.8:1",
                    &format!(
                        "POST /api/track\nuser-agent: {BROWSER}\naccept-language: de\n{signal}\n\n{}",
                        events("example.com")
                    ),
                )
                .await;
            let what = format!("{choice:?} {signal}: {}", answer.body);
            assert_eq!(answer.status, 202, "{what}");
            let kept = kept(&server).await;
            if !means || choice == Some("ignore") {
                let whole = &kept[0];
                assert!(whole.visitor.is_some() && whole.events.len() == 2, "{what}");
                let known = !whole.place.country.is_empty() && !whole.device.browser.is_empty();
                assert!(
                    known && whole.language == "de" && !whole.events[0].origin.source.is_empty(),
                    "{what}"
                );
            } else if choice == Some("drop") {
                assert_eq!(kept, [], "{what}");
                assert!(answer.body.starts_with(r#"{"accepted":0"#), "{what}");
                assert_eq!(answer.body.matches("opted_out").count(), 2, "{what}");
            } else {
                assert!(answer.body.contains(r#""dropped":[{"index":1,"reason":"opted_out"}]"#), "{what}");
                let [batch] = &kept[..] else { panic!("{what}") };
                let event = &batch.events[0];
                assert_eq!((batch.visitor, &*event.page), (None, "/a"), "{what}");
                assert_eq!(
                    (&batch.place, &batch.device),
                    (&Default::default(), &Default::default()),
                    "{what}"
                );
                assert_eq!((&*batch.language, &event.origin), ("", &Default::default()), "{what}");
                assert_eq!(event.numbers, [], "{what}");
                // Counted, but in no figure about visitors and visits.
                server.app.folder.settle().await;
                let total = server.app.folder.read(|state| {
                    let site = batch.site;
                    state.day(site, batch.day).unwrap().rollup(Dim::Total).cells[0].1
                });
                assert_eq!((total.pageviews, total.visitors, total.visits), (1, 0, 0), "{what}");
            }
        }
    }
}

/// URLs, as browsers send them, and the page that is kept. Nothing else of them may be in the log.
#[tokio::test]
async fn clause_10_of_a_url_only_the_path_and_the_campaign_are_kept() {
    const LONG: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.c2lnbmF0dXJlU0VDUkVU";
    let table = [
        ("https://example.com/a", "", "/a"),
        ("https://user:SECRET@example.com/a", "", "/a"),
        ("https://example.com:8443/a#SECRET", "", "/a"),
        ("https://example.com/a?session=SECRET&q=SECRET", "", "/a"),
        ("https://example.com/a?session=SECRET&utm_source=news#SECRET", "", "/a"),
        ("https://example.com/a?utm_id=SECRET&gclid=SECRET&fbclid=SECRET", "", "/a"),
        ("https://example.com/u/SECRET@example.org/edit", "", "/u/(email)/edit"),
        ("https://example.com/u/SECRET%40example.org/edit", "", "/u/(email)/edit"),
        ("https://example.com/reset/LONG", "", "/reset/(token).(token).(token)"),
        ("https://example.com/reset/0123456789abcdef0123456789abcdef5ec4e7", "", "/reset/(token)"),
        ("/a?token=SECRET#SECRET", "", "/a"),
        ("//user:SECRET@example.com/a", "", "/a"),
        ("https://example.com/a", "https://user:SECRET@from.example/?q=SECRET#SECRET", "/a"),
        ("https://example.com/a", "https://from.example/u/SECRET@example.org", "/a"),
        ("https://example.com/a?ref=SECRET@example.org", "", "/a"),
        ("https://example.com/a?utm_source=SECRET%40example.org", "", "/a"),
    ];
    let server = Server::start(WebConfig::default(), None).await;
    for (url, referrer, page) in table {
        let (url, referrer) = (url.replace("LONG", LONG), referrer.replace("LONG", LONG));
        let body = format!(
            r#"{{"v":1,"site":"example.com","events":[{{"url":"{url}","ref":"{referrer}"}},{{"type":"event","name":"404","url":"{url}"}}]}}"#
        );
        let answer = server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{body}")).await;
        assert_eq!(answer.body, r#"{"accepted":2,"dropped":[]}"#, "{url}");
        let batch = last(&server).await;
        assert_eq!(batch.events[0].page, page, "{url}");
        let text = format!("{batch:?}");
        for secret in ["SECRET", "eyJ", "5ec4e7"] {
            assert!(!text.contains(secret), "{url} {referrer}: {text}");
        }
    }
    let campaign =
        "https://example.com/a?utm_source=s1&utm_medium=m1&utm_campaign=c1&utm_content=o1&utm_term=t1";
    let body = format!(r#"{{"v":1,"site":"example.com","events":[{{"url":"{campaign}"}}]}}"#);
    server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{body}")).await;
    let text = format!("{:?}", last(&server).await.events[0].origin);
    assert!(["s1", "m1", "c1", "o1", "t1"].iter().all(|kept| text.contains(kept)), "{text}");
    // What the site lists is kept, and that alone.
    choose(&server, "keep_params", r#"["page"]"#).await;
    let body = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/a?x=SECRET&page=2"}]}"#;
    server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{body}")).await;
    assert_eq!(last(&server).await.events[0].page, "/a?page=2");
}

#[tokio::test]
async fn clause_11_a_place_is_as_fine_as_the_site_chose() {
    let headers = "x-vercel-ip-country: FR\nx-vercel-ip-country-region: IDF\nx-vercel-ip-city: Paris\nx-vercel-ip-latitude: 48.8566\nx-vercel-ip-longitude: 2.3522\nx-vercel-ip-postal-code: 75001\nx-real-ip: 192.0.2.7";
    for (choice, place) in [
        (None, ["FR", "FR-IDF", "Paris, FR"]),
        (Some("city"), ["FR", "FR-IDF", "Paris, FR"]),
        (Some("country"), ["FR", "", ""]),
        (Some("nothing"), ["", "", ""]),
    ] {
        let server = Server::start(behind_a_proxy(Some("vercel")), None).await;
        if let Some(choice) = choice {
            choose(&server, "place_detail", &format!("\"{choice}\"")).await;
        }
        let batch = page_view("example.com");
        server
            .send_from(PROXY, &format!("POST /api/track\nuser-agent: {BROWSER}\n{headers}\n\n{batch}"))
            .await;
        let kept = last(&server).await;
        let (country, region, city) = (&*kept.place.country, &*kept.place.region, &*kept.place.city);
        assert_eq!([country, region, city], place, "{choice:?}");
        let text = format!("{kept:?}");
        assert!(!["48.8566", "2.3522", "75001"].iter().any(|fine| text.contains(fine)), "{text}");
    }
}

/// Every header by which a proxy or platform tells of an address or a place, alone and in many combinations,
/// in several spellings: from a stranger none changes what is kept, nor whom the flood's limit counts.
#[tokio::test]
async fn headers_of_a_stranger_change_nothing_in_any_combination() {
    #[rustfmt::skip]
    const ADDRESSES: [&str; 20] = [
        "x-forwarded-for", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-forwarded", "client-ip",
        "x-vercel-forwarded-for", "x-vercel-proxied-for", "cf-connecting-ip", "cf-connecting-ipv6",
        "cf-pseudo-ipv4", "cloudfront-viewer-address", "x-nf-client-connection-ip", "true-client-ip",
        "fly-client-ip", "fastly-client-ip", "do-connecting-ip", "x-appengine-user-ip", "x-plausible-ip",
        "x-original-forwarded-for",
    ];
    const PLACES: [(&str, &str); 22] = [
        ("x-vercel-ip-country", "FR"),
        ("x-vercel-ip-country-region", "IDF"),
        ("x-vercel-ip-city", "Paris"),
        ("x-vercel-ip-timezone", "Europe/Paris"),
        ("cf-ipcountry", "FR"),
        ("cf-region-code", "IDF"),
        ("cf-region", "Ile-de-France"),
        ("cf-ipcity", "Paris"),
        ("cf-timezone", "Europe/Paris"),
        ("cloudfront-viewer-country", "FR"),
        ("cloudfront-viewer-country-region", "IDF"),
        ("cloudfront-viewer-city", "Paris"),
        ("x-nf-geo", r#"{"city":"Paris","country":{"code":"FR"},"subdivision":{"code":"IDF"}}"#),
        ("x-country", "FR"),
        ("x-akamai-edgescape", "country_code=FR,region_code=IDF,city=PARIS"),
        ("x-appengine-country", "FR"),
        ("x-appengine-city", "paris"),
        ("eo-ipcountry", "FR"),
        ("eo-ipcity", "Paris"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("via", "1.1 10.0.0.1"),
    ];
    const FORWARDED: [&str; 5] = [
        "for=198.51.100.9",
        "for=\"[2001:db8::9]:4711\";proto=https;by=10.0.0.1",
        "for=10.0.0.1, for=198.51.100.9",
        "For=198.51.100.9;by=127.0.0.1, for=10.0.0.1",
        "for=unknown",
    ];
    const SPELLINGS: [&str; 6] = [
        "198.51.100.9",
        "198.51.100.9, 10.0.0.1",
        "10.0.0.1",
        "127.0.0.1",
        "[2001:db8::9]:80",
        "198.51.100.9:1",
    ];
    let mut combinations: Vec<String> = vec![String::new()];
    for name in ADDRESSES {
        combinations.extend(SPELLINGS.map(|value| format!("\n{name}: {value}")));
    }
    combinations.extend(PLACES.map(|(name, value)| format!("\n{name}: {value}")));
    combinations.extend(FORWARDED.map(|value| format!("\nforwarded: {value}")));
    // And many at once, twice the same header included.
    let mut number = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (number >> 33) as usize % n
    };
    for _ in 0..150 {
        let mut headers = String::new();
        for _ in 0..1 + below(12) {
            headers += &match below(3) {
                0 => {
                    format!("\n{}: {}", ADDRESSES[below(ADDRESSES.len())], SPELLINGS[below(SPELLINGS.len())])
                }
                1 => format!("\n{}: {}", PLACES[below(PLACES.len())].0, PLACES[below(PLACES.len())].1),
                _ => format!("\nforwarded: {}", FORWARDED[below(FORWARDED.len())]),
            };
        }
        combinations.push(headers);
    }

    for platform in [None, Some("vercel"), Some("cloudflare"), Some("cloudfront"), Some("netlify")] {
        let server = Server::start(behind_a_proxy(platform), None).await;
        for headers in &combinations {
            let batch =
                page_view("example.com").replace("\"events\"", "\"batch\":\"0123456789abcdef\",\"events\"");
            // A stranger with a place of their own, which is not France.
            let request = format!("POST /api/track\nuser-agent: {BROWSER}{headers}\n\n{batch}");
            let answer = server.send_from("8.8.8.8:4711", &request).await;
            assert_eq!(answer.status, 202, "{headers}");
        }
        let all = kept(&server).await;
        assert_eq!(all.len(), combinations.len());
        let first = &all[0];
        assert_eq!(first.place.country, "US");
        for (batch, headers) in all.iter().zip(&combinations) {
            assert_eq!(batch, first, "{platform:?} {headers}");
        }
        // The search for a difference can find one: from the proxy they count.
        let batch = page_view("example.com");
        let headers = "x-forwarded-for: 198.51.100.9\nx-vercel-ip-country: FR\ncf-ipcountry: FR\ncloudfront-viewer-country: FR\nx-country: FR";
        server
            .send_from(PROXY, &format!("POST /api/track\nuser-agent: {BROWSER}\n{headers}\n\n{batch}"))
            .await;
        let trusted = last(&server).await;
        assert_ne!(trusted.visitor, first.visitor, "{platform:?}");
        assert_eq!(trusted.place.country == "FR", platform.is_some(), "{platform:?}");
    }
}
