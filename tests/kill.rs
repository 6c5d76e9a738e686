//! Yes means durable, once means once: the real server under load, killed with -9 at random moments from its
//! first 50 ms of life on. Afterwards every acknowledged event is there exactly once, every other that was
//! sent at most once, and none that was not sent, over retries under the same batch id.

mod common;

use common::server::{Server, Start, query};
use common::{Random, all, seed};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is known of a batch that was sent.
#[derive(Clone)]
struct Sent {
    id: String,
    pages: Vec<String>,
    acknowledged: bool,
    first: std::time::Instant,
}

/// What all senders of a round have done.
#[derive(Default)]
struct History {
    sent: Vec<Sent>,
    pages: u64,
}

/// Pages of a round at most: each has its own cell, and cells of a day are capped.
const MOST_PAGES: u64 = 8_000;

#[test]
fn kill_at_any_moment() {
    let rounds = if all() { 50 } else { 5 };
    let mut random = Random(seed());
    let (mut acknowledged, mut open, mut kills) = (0, 0, 0);
    for round in 0..rounds {
        let folder = tempfile::tempdir().unwrap();
        let history = Arc::new(Mutex::new(History::default()));
        let lives = 3 + random.below(3);
        for life in 0..lives {
            let server = start(folder.path());
            let stop = Arc::new(AtomicBool::new(false));
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let (history, stop, mut random) = (history.clone(), stop.clone(), Random(random.next()));
                    let address = server.address;
                    std::thread::spawn(move || send(address, &history, &stop, &mut random))
                })
                .collect();
            // The first life ends early: while the store is being made, or just after.
            let ms = if life == 0 { 50 + random.below(400) } else { 300 + random.below(1500) };
            std::thread::sleep(Duration::from_millis(ms));
            server.kill();
            kills += 1;
            stop.store(true, Ordering::SeqCst);
            senders.into_iter().for_each(|s| s.join().unwrap());
        }
        // In half the rounds the last word is a clean stop with all retries done, else a kill.
        if round % 2 == 0 {
            let server = start(folder.path());
            server.wait();
            retry_all(&server, &history);
            assert!(server.stop().success());
        }
        let history = history.lock().unwrap();
        acknowledged += history.sent.iter().filter(|s| s.acknowledged).count();
        open += history.sent.iter().filter(|s| !s.acknowledged).count();
        check(&folder.path().join("data").join("passerby.db"), &history);
    }
    println!("{rounds} rounds, {kills} kills: {acknowledged} batches acknowledged, {open} without an answer");
    assert!(acknowledged > 100 * rounds, "too little load to prove anything");
}

fn start(folder: &std::path::Path) -> Server {
    Start { folder, args: &["--site", "example.com"], envs: &[] }.spawn()
}

fn body(batch: &Sent) -> Vec<u8> {
    let events: Vec<String> = batch
        .pages
        .iter()
        .map(|page| format!(r#"{{"type":"pageview","url":"https://example.com{page}","age":0}}"#))
        .collect();
    let sent = batch.first.elapsed().as_millis();
    format!(
        r#"{{"v":1,"site":"example.com","batch":"{}","sent":{sent},"events":[{}]}}"#,
        batch.id,
        events.join(",")
    )
    .into_bytes()
}

const HEADERS: [(&str, &str); 2] = [
    ("content-type", "text/plain"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
];

/// Sends new batches, and old ones that got no answer, until told to stop.
fn send(address: std::net::SocketAddr, history: &Mutex<History>, stop: &AtomicBool, random: &mut Random) {
    let mut client = common::http::Client::new(address);
    while !stop.load(Ordering::SeqCst) {
        let (index, batch) = {
            let mut history = history.lock().unwrap();
            let open: Vec<usize> =
                (0..history.sent.len()).filter(|&i| !history.sent[i].acknowledged).collect();
            let again = !open.is_empty() && random.below(4) == 0;
            // Now and then an acknowledged one too: its answer might have been lost on the way.
            let repeat = !history.sent.is_empty() && random.below(20) == 0;
            if again {
                let index = open[random.below(open.len() as u64) as usize];
                (index, history.sent[index].clone())
            } else if repeat || history.pages > MOST_PAGES {
                let index = random.below(history.sent.len() as u64) as usize;
                (index, history.sent[index].clone())
            } else {
                let pages = 1 + random.below(3);
                let batch = Sent {
                    id: format!("{:016x}{:016x}", random.next(), random.next()),
                    pages: (0..pages).map(|n| format!("/k/{}", history.pages + n)).collect(),
                    acknowledged: false,
                    first: std::time::Instant::now(),
                };
                history.pages += pages;
                history.sent.push(batch.clone());
                (history.sent.len() - 1, batch)
            }
        };
        match client.send("POST", "/api/track", &HEADERS, &body(&batch)) {
            Ok(answer) if answer.status == 202 => history.lock().unwrap().sent[index].acknowledged = true,
            Ok(answer) => assert!(answer.status == 503, "{} {}", answer.status, answer.text()),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn retry_all(server: &Server, history: &Mutex<History>) {
    let mut client = server.client();
    for sent in history.lock().unwrap().sent.iter_mut().filter(|s| !s.acknowledged) {
        let answer = client.send("POST", "/api/track", &HEADERS, &body(sent)).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        sent.acknowledged = true;
    }
}

fn check(store: &std::path::Path, history: &History) {
    let mut counted: HashMap<String, i64> = HashMap::new();
    let report = query(
        store,
        "example.com",
        r#"{"metrics":["pageviews"],"dimensions":["event:page"],"date_range":"all","pagination":{"limit":10000}}"#,
    );
    for row in report["results"].as_array().unwrap() {
        let page = row["dimensions"][0].as_str().unwrap().to_string();
        counted.insert(page, row["metrics"][0].as_i64().unwrap());
    }
    for sent in &history.sent {
        for page in &sent.pages {
            let times = counted.remove(page).unwrap_or(0);
            match sent.acknowledged {
                true => assert_eq!(times, 1, "{page} was acknowledged"),
                false => assert!(times <= 1, "{page} was sent without an answer, and counted {times} times"),
            }
        }
    }
    assert!(counted.is_empty(), "never sent: {counted:?}");
}
