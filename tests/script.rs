//! The browser script in a real browser, against a server that records what arrives and answers as told.

mod common;

use common::chromium::{Chromium, Tab};
use common::recorder::{Plan, Received, Recorder, events};
use common::server::{Server, query};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Driven browsers say so, and the script ignores them unless told otherwise.
const TAG: &str = "data-site='example.com' data-automation";

/// One browser at a time: several would only slow each other down.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Events as lines: type, path, and what tells them apart.
fn lines(events: &[Value]) -> Vec<String> {
    let line = |event: &Value| {
        let url = event["url"].as_str().expect("an address");
        let path = url.splitn(4, '/').nth(3).expect("a path");
        let name = event["name"].as_str().unwrap_or_default();
        format!("{} /{path} {name}", event["type"].as_str().expect("a type")).trim_end().to_owned()
    };
    events.iter().map(line).collect()
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn has(events: &[Value], kind: &str) -> bool {
    !of_type(events, kind).is_empty()
}

fn open<'a>(browser: &'a Chromium, server: &Recorder, path: &str) -> Tab<'a> {
    let tab = browser.tab();
    tab.navigate(&format!("{}{path}", server.pages));
    tab
}

#[test]
fn a_page_view_leaves_at_once_and_the_rest_when_the_page_is_hidden() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/first?utm_source=x#secret");

    let first = server.wait("the page view", |all| !all.is_empty());
    assert_eq!(first[0].batch["v"], 1);
    assert_eq!(first[0].batch["site"], "example.com");
    assert_eq!(first[0].batch["sent"], 0);
    let id = first[0].batch["batch"].as_str().unwrap();
    assert!((16..=64).contains(&id.len()), "{id}");
    assert!(first[0].content_type.starts_with("text/plain"), "{}", first[0].content_type);
    assert_eq!(first[0].cookie, None);
    assert_eq!(lines(first[0].events()), ["pageview /first?utm_source=x"]);
    let view = &first[0].events()[0];
    assert!(view["age"].as_i64().unwrap() >= 0);
    assert_eq!(view["width"], tab.eval("innerWidth"));
    assert!(view.get("ref").is_none());

    tab.eval("passerby('Signup', {props: {plan: 'yearly', seats: 3}}); scrollTo(0, innerHeight)");
    tab.wait("scrollY > 0");
    tab.eval("new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)))");
    // Another tab in front hides this one.
    let _other = browser.tab();
    let all = server.wait_events("engagement", |events| has(events, "engagement"));
    assert_eq!(
        lines(&all),
        [
            "pageview /first?utm_source=x",
            "event /first?utm_source=x Signup",
            "engagement /first?utm_source=x"
        ]
    );
    assert_eq!(all[1]["props"], serde_json::json!({"plan": "yearly", "seats": 3}));
    assert!(all[2]["engaged"].as_i64().unwrap() >= 100, "{}", all[2]);
    // Two of four screens.
    assert_eq!(all[2]["scroll"], 50);
    assert_eq!(tab.eval("errors.join()"), "");
}

#[test]
fn a_batch_goes_again_under_its_id_until_it_is_answered() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    server.plan([Plan::Drop, Plan::RetryAfter(503, 2), Plan::Answer(429), Plan::Answer(202)]);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/");

    // A browser may itself repeat a request whose connection closed; the script cannot tell, and the id is why
    // it need not.
    let answered = |all: &[Received]| all.len() >= 4;
    let tries = server.wait("four tries", answered);
    let ids: Vec<&Value> = tries.iter().map(|one| &one.batch["batch"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let sent: Vec<i64> = tries.iter().map(|one| one.batch["sent"].as_i64().unwrap()).collect();
    assert!(sent.is_sorted() && sent[0] == 0, "{sent:?}");
    assert!(sent[3] >= 2000, "Retry-After is heeded: {sent:?}");
    for one in &tries {
        let age = one.events()[0]["age"].as_i64().unwrap();
        let first = tries[0].events()[0]["age"].as_i64().unwrap();
        assert_eq!(age - first, one.batch["sent"].as_i64().unwrap(), "ages grow with each try");
    }

    // What is refused for good does not come again: the next batch is another one.
    server.plan([Plan::Answer(400)]);
    tab.eval("history.pushState(0, '', '/refused')");
    server.wait("the refused one", |all| all.len() >= 5);
    tab.eval("history.pushState(0, '', '/after')");
    let all = server.wait("the next", |all| lines(&events(all)).contains(&"pageview /after".into()));
    assert_eq!(lines(&events(&all)).iter().filter(|line| *line == "pageview /refused").count(), 1);
    assert_eq!(tab.eval("errors.join()"), "");
}

#[test]
fn without_a_network_nothing_is_lost() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/");
    server.wait("the page view", |all| all.len() == 1);
    tab.offline(true);
    tab.eval("history.pushState(0, '', '/offline'); passerby('Kept')");
    tab.eval("new Promise(done => setTimeout(done, 300))");
    tab.offline(false);
    tab.eval("dispatchEvent(new Event('online'))");
    let all = server.wait_events("what happened offline", |events| has(events, "event"));
    assert_eq!(
        lines(&of_type(&all, "pageview").into_iter().cloned().collect::<Vec<_>>()),
        ["pageview /", "pageview /offline"]
    );
}

#[test]
fn pages_within_a_page_are_counted_when_the_path_changes() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = browser.tab();
    // Comes from another page, so that there is a referrer; before the script is there, an event is queued.
    tab.navigate(&format!("{}/plain", server.pages));
    tab.eval("location.href = '/a'");
    tab.wait("location.pathname == '/a' && window.passerby && passerby.on");
    tab.eval(
        "history.pushState(0, '', '/b');
         history.pushState(0, '', '/b?page=2');
         history.replaceState(0, '', '/b#part');
         history.replaceState({state: 1}, '', '/c');
         history.pushState(0, '', '/d')",
    );
    tab.eval("new Promise(done => { addEventListener('popstate', () => setTimeout(done)); history.back() })");
    let all = server.wait_events("five pages", |events| of_type(events, "pageview").len() == 5);
    let views: Vec<Value> = of_type(&all, "pageview").into_iter().cloned().collect();
    let mut found = lines(&views);
    // Each leaves in a request of its own, and these may overtake each other.
    found.sort();
    assert_eq!(found, ["pageview /a", "pageview /b", "pageview /c", "pageview /c", "pageview /d"]);
    let referred: Vec<&Value> = views.iter().filter(|view| view.get("ref").is_some()).collect();
    assert_eq!(referred.len(), 1, "{views:#?}");
    assert_eq!(referred[0]["ref"], format!("{}/plain", server.pages));
    assert_eq!(tab.eval("errors.join()"), "");
    // What wraps the page's own functions gives back what they gave, and throws what they throw.
    let thrown =
        tab.eval("try { history.pushState(0, '', 'http://elsewhere.example/'); 0 } catch (e) { e.name }");
    assert_eq!(thrown, "SecurityError");
}

#[test]
fn the_time_before_the_next_page_is_told() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/a");
    tab.eval("new Promise(done => setTimeout(done, 300))");
    tab.eval("history.pushState(0, '', '/b')");
    let all = server.wait_events("the second page", |events| of_type(events, "pageview").len() == 2);
    assert_eq!(lines(&all), ["pageview /a", "engagement /a", "pageview /b"]);
    assert!(all[1]["engaged"].as_i64().unwrap() >= 250, "{}", all[1]);
    assert_eq!(all[1]["scroll"], 25);
}

#[test]
fn closing_the_tab_delivers_what_is_left() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let _stays = browser.tab();
    let tab = open(&browser, &server, "/read");
    server.wait("the page view", |all| !all.is_empty());
    tab.eval("passerby('Last words')");
    tab.close();
    let all = server.wait_events("engagement", |events| has(events, "engagement"));
    assert_eq!(lines(&all), ["pageview /read", "event /read Last words", "engagement /read"]);
}

#[test]
fn leaving_for_another_page_and_coming_back_counts_again() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/a");
    server.wait("the page view", |all| !all.is_empty());
    tab.eval("window.marked = 1");
    tab.navigate(&format!("{}/plain", server.pages));
    server.wait_events("engagement", |events| has(events, "engagement"));
    tab.eval("setTimeout(() => history.back())");
    tab.wait("location.pathname == '/a'");
    assert_eq!(tab.eval("window.marked"), 1, "the page comes back from the browser's memory, not anew");
    let all = server.wait_events("a second view", |events| of_type(events, "pageview").len() == 2);
    assert_eq!(lines(&all), ["pageview /a", "engagement /a", "pageview /a"]);
    assert!(all[2].get("ref").is_none());
}

#[test]
fn a_page_nobody_sees_is_not_counted_until_somebody_does() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = browser.tab();
    let _other = browser.tab();
    tab.wait("document.hidden");
    tab.navigate(&format!("{}/hidden", server.pages));
    tab.wait("window.passerby && passerby.on");
    tab.eval("passerby('Early')");
    tab.eval("new Promise(done => setTimeout(done, 200))");
    server.wait("nothing yet", |all| all.is_empty());
    tab.to_front();
    let all = server.wait_events("the view", |events| events.len() == 2);
    assert_eq!(lines(&all), ["event /hidden Early", "pageview /hidden"]);
}

#[test]
fn a_burst_arrives_whole_in_batches_that_the_server_takes() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    server.plan([
        Plan::Answer(202),
        Plan::Slow(Duration::from_millis(300)),
        Plan::Slow(Duration::from_millis(300)),
    ]);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/");
    server.wait("the page view", |all| !all.is_empty());
    // More bytes than one batch, or all keepalive requests together, may have.
    tab.eval("for (let i = 0; i < 200; i++) passerby('Event ' + i, {props: {text: 'ü'.repeat(i % 40 ? 60 : 9000)}})");
    let _other = browser.tab();
    let received = server.wait("all of them", |all| of_type(&events(all), "event").len() >= 200);
    for one in &received {
        assert!(one.events().len() <= 100, "{} events", one.events().len());
        assert!(one.bytes <= 64 * 1024, "{} bytes", one.bytes);
    }
    let all = events(&received);
    let mut names: Vec<&str> =
        of_type(&all, "event").iter().map(|event| event["name"].as_str().unwrap()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 200);
}

#[test]
fn nothing_is_kept_in_the_browser() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    server.plan([Plan::Answer(503)]);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/");
    tab.eval("passerby('Signup', {props: {plan: 'yearly'}})");
    tab.eval("history.pushState(0, '', '/b')");
    server.wait("two batches and a retry", |all| all.len() >= 3);
    // The page's own cookie is the proof that the search can find one.
    assert_eq!(tab.eval("document.cookie"), "own=1");
    let found =
        "(async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length,
        (await caches.keys()).length, (await navigator.serviceWorker.getRegistrations()).length,
        (await navigator.storage.estimate()).usage].join())()";
    assert_eq!(tab.eval(found), "0,0,0,0,0,0");
    let cookies = tab.call("Network.getAllCookies", serde_json::json!({}));
    let names: Vec<&Value> =
        cookies["cookies"].as_array().unwrap().iter().map(|cookie| &cookie["name"]).collect();
    assert_eq!(names, ["own"]);
    for one in server.wait("all", |all| !all.is_empty()) {
        assert_eq!(one.cookie, None);
    }
}

#[test]
fn whatever_the_page_does_it_sees_no_error() {
    let _alone = alone();
    let server = Recorder::start(TAG);
    let browser = Chromium::start();
    let tab = open(&browser, &server, "/");
    server.wait("the page view", |all| !all.is_empty());
    tab.eval(
        "const loop = {}; loop.loop = loop;
         passerby(); passerby('Nothing', null); passerby('Loop', {props: loop}); passerby('Big', {props: {n: 1n}});
         passerby('Changed', {props: window.later = {n: 1}});
         later.n = 2;
         window.fetch = () => { throw 1 }; history.pushState(0, '', '/beacon')",
    );
    // Where fetch throws, a beacon takes over.
    let all = server.wait_events("the beacon", |events| lines(events).contains(&"pageview /beacon".into()));
    let changed = all.iter().find(|event| event["name"] == "Changed").expect("sent");
    assert_eq!(changed["props"]["n"], 1, "as it was when it happened");
    tab.eval(
        "delete navigator.sendBeacon; navigator.sendBeacon = undefined; history.pushState(0, '', '/nothing')",
    );
    assert_eq!(tab.eval("errors.join()"), "");
}

#[test]
fn a_driven_browser_is_not_counted_unless_the_tag_says_so() {
    let _alone = alone();
    let server = Recorder::start("data-site='example.com'");
    let browser = Chromium::start_with(&["--enable-automation"]);
    let tab = open(&browser, &server, "/");
    assert_eq!(tab.eval("navigator.webdriver"), true);
    tab.eval("passerby('Signup')");
    tab.close();
    // Another browser, which does not say so, is; and without data-site its host is the site.
    let other = Recorder::start("");
    let quiet = Chromium::start_with(&["--disable-blink-features=AutomationControlled"]);
    let tab = open(&quiet, &other, "/");
    let all = other.wait("the page view", |all| !all.is_empty());
    assert_eq!(tab.eval("!!navigator.webdriver"), false);
    assert_eq!(all[0].batch["site"], "127.0.0.1");
    server.wait("nothing", |all| all.is_empty());
}

#[test]
fn the_real_server_counts_what_the_real_script_sends() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let pages = Recorder::pages_of(&format!("http://{}", server.address), TAG);
    // A machine by its name is not counted, so it goes by another.
    let browser = Chromium::start_with(&[
        "--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ]);
    let tab = open(&browser, &pages, "/a");
    tab.wait("window.passerby && passerby.on");
    tab.eval("passerby('Signup', {props: {plan: 'yearly'}}); history.pushState(0, '', '/b')");
    // How the script learns that a batch is stored: no request of its is left without an answer.
    tab.wait("performance.getEntriesByType('resource').filter(one => one.name.endsWith('/api/track') && one.responseStatus == 202).length == 2");
    tab.close();
    let ask = |json: &str| query(&server.store, "example.com", json);
    let totals = r#"{"metrics":["visitors","visits","pageviews","events"],"date_range":"day"}"#;
    // What the tab sent while it closed has no answer that we could see; the engagement changes no figure here.
    assert_eq!(ask(totals)["results"][0]["metrics"], serde_json::json!([1, 1, 2, 3]));
    let names = r#"{"metrics":["events"],"date_range":"day","dimensions":["event:name"]}"#;
    let names = ask(names)["results"].to_string();
    assert!(names.contains("Signup"), "{names}");
    assert!(server.stop().success());
}
