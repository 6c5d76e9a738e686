//! The overview of an imported log in a real browser: what it shows is what `passerby query` says, its links
//! lead where they should, and a new visitor appears without a reload.

mod common;

use common::chromium::{Chromium, Tab};
use common::server::{Server, Start, query};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// In the page before its own script: notes whatever goes wrong, and lets the page look for news each second.
const BEFORE: &str = "
    window.trouble = [];
    const note = text => trouble.push(String(text));
    addEventListener('error', e => note(e.message || 'could not load ' + (e.target.src || e.target.href)), true);
    addEventListener('unhandledrejection', e => note(e.reason));
    addEventListener('securitypolicyviolation', e => note('policy: ' + e.violatedDirective));
    for (const level of ['error', 'warn']) console[level] = note;
    document.addEventListener('readystatechange', () => {
        if (document.body.dataset.refresh) document.body.dataset.refresh = 1;
    });
";

/// Forty visitors on each of two days, with one to four views; the second day and later have no others.
fn log(days: [jiff::civil::Date; 2]) -> String {
    let pages = ["/", "/pricing", "/docs", "/blog/a-post"];
    let mut lines = String::new();
    for day in days {
        for visitor in 0..40 {
            for view in 0..=visitor % 4 {
                lines += &format!(
                    "81.2.69.{} - - [{}:{:02}:{:02}:00 +0000] \"GET {} HTTP/1.1\" 200 5120 \"{}\" \"{AGENT}\"\n",
                    visitor + 1,
                    day.strftime("%d/%b/%Y"),
                    visitor % 24,
                    view * 3,
                    pages[(visitor + view) % pages.len()],
                    if visitor % 3 == 0 { "https://www.google.com/" } else { "-" },
                );
            }
        }
    }
    lines
}

/// A page view and an event of a visitor, as the browser script sends them through a proxy.
fn visit(server: &Server, address: &str, event: &str) {
    let page = "https://example.com/fresh";
    let batch = json!({"v": 1, "site": "example.com", "batch": format!("{address}-{event}-0123456789"), "sent": 0,
        "events": [{"type": "pageview", "url": page, "age": 0}, {"type": "event", "name": event, "url": page, "age": 0}]});
    let headers = [("content-type", "text/plain"), ("user-agent", AGENT), ("x-forwarded-for", address)];
    let answer = server
        .client()
        .send("POST", "/api/track", &headers, batch.to_string().as_bytes())
        .expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"accepted":2,"dropped":[]}"#));
}

/// The six figures as the page writes them.
fn figures(tab: &Tab) -> Value {
    tab.eval("[...document.querySelectorAll('.fig .value')].map(e => e.textContent)")
}

/// The same, written from what the command says.
fn asked(server: &Server, from: &str, to: &str) -> Value {
    let metrics = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"];
    let report = query(
        &server.store,
        "example.com",
        &json!({"metrics": metrics, "date_range": [from, to]}).to_string(),
    );
    let number = |i: usize| report["results"][0]["metrics"][i].as_f64().expect("a number");
    let seconds = number(5) as i64;
    let duration = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds:02}s"),
    };
    let counts = (0..3).map(|i| format!("{}", number(i)));
    let ratios = [format!("{:.2}", number(3)), format!("{:.0}%", number(4)), duration];
    counts.chain(ratios).collect::<Vec<_>>().into()
}

/// The rows of a panel's open tab, as `label: visitors`.
fn rows(tab: &Tab, panel: &str) -> BTreeSet<String> {
    let rows = tab.eval(&format!(
        "[...document.querySelectorAll('#{panel} .tab:not([hidden]) tbody tr')].map(
            row => row.cells[0].textContent.trim() + ': ' + row.cells[1].textContent)"
    ));
    rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect()
}

fn asked_rows(server: &Server, dimension: &str, from: &str, to: &str) -> BTreeSet<String> {
    let question = json!({"metrics": ["visitors"], "date_range": [from, to], "dimensions": [dimension]});
    let report = query(&server.store, "example.com", &question.to_string());
    let row = |row: &Value| format!("{}: {}", row["dimensions"][0].as_str().unwrap(), row["metrics"][0]);
    report["results"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn the_overview_of_an_imported_log_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--site", "example.com", "--public", "--trusted-proxy", "127.0.0.0/8"];
    let server = Start { folder: folder.path(), args: &args, envs: &[] }.ready();
    let today = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let before = |days: i32| today.saturating_sub(jiff::Span::new().days(days));
    let file = folder.path().join("access.log");
    std::fs::write(&file, log([before(2), before(1)])).unwrap();
    let done =
        server.command(&["import", "access-log", &file.display().to_string(), "--site", "example.com"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    visit(&server, "81.2.70.1", "Signup");

    let browser = Chromium::start();
    let tab = browser.tab();
    tab.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": BEFORE}));
    let trouble = || tab.eval("trouble.join(', ')");
    let home = format!("http://{}", server.address);
    tab.navigate(&format!("{home}/"));
    assert_eq!(trouble(), "");
    tab.eval("document.querySelector('#sites a').click()");
    tab.wait("location.pathname == '/example.com' && document.readyState == 'complete'");

    // The two imported days: figures and lists are those of the command.
    let (from, to) = (before(2).to_string(), before(1).to_string());
    tab.navigate(&format!("{home}/example.com?from={from}&to={to}"));
    assert_eq!(figures(&tab), asked(&server, &from, &to));
    assert_eq!(figures(&tab)[0], "80");
    assert_eq!(rows(&tab, "pages"), asked_rows(&server, "event:page", &from, &to));
    assert_eq!(rows(&tab, "pages").len(), 4);

    // A tab opens in place and is in the address; a figure goes into the chart; going back takes it out.
    let entries = asked_rows(&server, "visit:entry_page", &from, &to);
    assert_ne!(entries, rows(&tab, "pages"));
    tab.eval("window.marked = 1; document.querySelector('#pages [data-tab=entry-pages]').click()");
    assert_eq!(rows(&tab, "pages"), entries);
    assert_eq!(tab.eval("location.search"), format!("?from={from}&to={to}&pages=entry-pages"));
    tab.eval("[...document.querySelectorAll('.fig')].find(e => e.textContent.includes('Bounce')).click()");
    tab.wait("document.querySelector('#chart').getAttribute('aria-label').startsWith('Bounce rate')");
    assert_eq!(tab.eval("document.querySelector('.fig[aria-current] .name').textContent"), "Bounce rate");
    tab.eval("history.back()");
    tab.wait("document.querySelector('#chart').getAttribute('aria-label').startsWith('Visitors')");
    assert_eq!(tab.eval("window.marked"), 1, "all of that in one page");
    assert_eq!(trouble(), "");

    // The chart answers the keyboard.
    tab.eval("document.querySelector('.plot').focus()");
    for kind in ["keyDown", "keyUp"] {
        tab.call(
            "Input.dispatchKeyEvent",
            json!({"type": kind, "key": "Home", "code": "Home", "windowsVirtualKeyCode": 36}),
        );
    }
    let said = tab.eval("document.querySelector('.say').textContent");
    assert!(said.as_str().unwrap().ends_with(", 2"), "two came in the first hour: {said}");

    // A link of the period's menu.
    tab.eval(
        "[...document.querySelectorAll('.when .pop a')].find(e => e.textContent == 'Last 7 days').click()",
    );
    tab.wait("location.search.includes('period=7d') && document.readyState == 'complete' && document.querySelector('.when summary')?.textContent == 'Last 7 days'");
    let week = (before(6).to_string(), today.to_string());
    assert_eq!(figures(&tab), asked(&server, &week.0, &week.1));
    assert_eq!(figures(&tab)[0], "81");

    // Another visitor appears by itself, and nothing jumps.
    tab.eval(
        "window.marked = 2; window.shifted = 0;
         new PerformanceObserver(list => list.getEntries().forEach(e => shifted += e.value)).observe({type: 'layout-shift'})",
    );
    visit(&server, "81.2.70.2", "Download");
    tab.wait("document.querySelector('.fig .value').textContent == '82'");
    tab.wait("document.querySelector('#events').textContent.includes('Download')");
    assert_eq!(figures(&tab), asked(&server, &week.0, &week.1));
    assert_eq!(tab.eval("document.querySelector('#now b').textContent"), "2");
    assert_eq!(tab.eval("marked"), 2, "without a reload");
    assert_eq!(tab.eval("shifted"), 0);
    assert_eq!(trouble(), "");

    // What would be trouble is seen.
    tab.eval("const image = new Image(); image.src = 'http://elsewhere.invalid/x.png'; document.body.append(image)");
    tab.wait("trouble.some(text => text.startsWith('policy: img-src'))");
    assert!(server.stop().success());
}
