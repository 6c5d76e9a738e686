//! PRIVACY.md, clauses 3, 7, 13 and 14, on the program as it runs.

mod common;

use common::marks::{Marker, Search, decoded, files, tmpfs};
use common::server::{BINARY, Server, Start, command, store_url};
use common::{Random, seed};
use passerby_engine::block::decode_flush;
use passerby_engine::day::DayState;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Sends a page view; gives the status.
fn view(server: &Server, site: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut id = [0; 16];
    getrandom::fill(&mut id).unwrap();
    let batch = common::marks::hex(&id);
    let body = format!(
        r#"{{"v":1,"site":"{site}","batch":"{batch}","events":[{{"url":"https://{site}{path}","ref":"https://from.example/"}}]}}"#
    );
    let headers = [&[("user-agent", BROWSER)][..], headers].concat();
    server.client().send("POST", "/api/track", &headers, body.as_bytes()).unwrap().status
}

/// The hashes of all visitors in the log and the states of a store.
fn visitors(store: &Path) -> Vec<u64> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = passerby::store::open(&store_url(store)).unwrap();
        let log = store.read_log(0, 1 << 24).await.unwrap();
        let blocks = log.flushes.iter().flat_map(|(_, bytes)| decode_flush(bytes).unwrap().blocks);
        let mut found: Vec<_> = blocks
            .flat_map(|block| block.batches)
            .filter_map(|batch| batch.visitor.map(|v| v.0.get()))
            .collect();
        for (site, day, bytes) in store.load().await.unwrap().states {
            found.extend(
                DayState::decode(site, day, &bytes).unwrap().visits.visitors.iter().map(|row| row.hash),
            );
        }
        found
    })
}

/// The salts are in the tmpfs and nowhere else: taken from there, they are in no file of the data's folder, in
/// nothing that is decoded and in no line said, not while the server runs and not after it.
#[test]
fn clause_3_no_salt_is_in_the_stores_files() {
    let Some(tmpfs) = tmpfs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tmpfs.path().display().to_string();
    let args = ["--site", "example.com", "--site", "other.example"];
    let start = Start { folder: folder.path(), args: &args, envs: &[("RUNTIME_DIRECTORY", &runtime)] };
    let server = start.ready();
    let store = server.store.clone();
    for n in 0..20 {
        assert_eq!(view(&server, "example.com", &format!("/{n}"), &[]), 202);
        assert_eq!(view(&server, "other.example", &format!("/{n}"), &[]), 202);
    }
    let shared = files(&[tmpfs.path()]);
    let [(_, file)] = &shared[..] else { panic!("one file of salts, not {}", shared.len()) };
    // Its form is told in src/salts/shared.rs.
    let slots = file[64..].chunks(64).filter(|slot| slot.iter().any(|byte| *byte != 0));
    let salts: Vec<_> = slots.map(|slot| Marker::bytes("a salt", &slot[40..56])).collect();
    assert_eq!(salts.len(), 2, "one for each site");
    let search = Search::new(&salts);
    assert!(search.in_bytes(file).is_some(), "the search finds what is there");
    search.finds_nothing(&files(&[folder.path()]));
    assert!(server.stop().success());
    search.finds_nothing(&files(&[folder.path()]));
    search.finds_nothing(&decoded(&store));

    // A second process, and a third after a kill, know the same people again.
    let one = start.ready();
    let two = start.ready();
    for server in [&one, &two] {
        assert_eq!(view(server, "example.com", "/", &[]), 202);
    }
    one.kill();
    two.kill();
    let three = start.ready();
    assert_eq!(view(&three, "example.com", "/", &[]), 202);
    let known: BTreeSet<_> = visitors(&store).into_iter().collect();
    assert_eq!(known.len(), 2, "one person, on two sites");
}

/// The hashes that the store holds are in no page, answer, output of a command or line said, however numbers
/// may be written.
#[test]
fn clause_7_a_visitors_hash_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--site", "example.com", "--public", "--trusted-proxy", "127.0.0.0/8"];
    let server = Start { folder: folder.path(), args: &args, envs: &[] }.ready();
    for n in 0..40 {
        let address = format!("192.0.2.{}", 1 + n % 20);
        let path = format!("/page/{}", n % 4);
        assert_eq!(view(&server, "example.com", &path, &[("x-forwarded-for", &address)]), 202);
    }
    let hashes = visitors(&server.store);
    assert!(hashes.iter().collect::<BTreeSet<_>>().len() >= 20);
    let markers: Vec<_> = hashes.into_iter().map(Marker::visitor).collect();
    let search = Search::new(&markers);
    assert!(
        search.in_bytes(&decoded(&server.store).concat_text()).is_some(),
        "the search finds what is there"
    );

    let mut shown = Vec::new();
    let mut client = server.client();
    // All pages that can be reached, some hundred of them.
    let mut to_see =
        vec!["/".to_string(), "/health".to_string(), "/sign-in".to_string(), "/p.js".to_string()];
    let mut seen = BTreeSet::new();
    while let Some(path) = to_see.pop() {
        if seen.len() > 150 || !seen.insert(path.clone()) {
            continue;
        }
        let answer = client.get(&path).unwrap();
        assert!(answer.status < 500, "{path}: {}", answer.status);
        let text = answer.text();
        let links = text.split("href=\"/").skip(1).filter_map(|rest| rest.split('"').next());
        to_see.extend(links.map(|link| format!("/{}", link.replace("&amp;", "&"))));
        shown.push((format!("{path} headers"), format!("{:?}", answer.headers).into_bytes()));
        shown.push((path, answer.body));
    }
    assert!(seen.iter().filter(|path| path.starts_with("/example.com/")).count() > 5, "{seen:?}");

    let key = String::from_utf8(server.command(&["key", "add", "mine"]).stdout).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let dimensions = [
        "event:page",
        "event:hostname",
        "event:name",
        "visit:entry_page",
        "visit:exit_page",
        "visit:source",
        "visit:channel",
        "visit:referrer",
        "visit:country",
        "visit:city",
        "visit:device",
        "visit:browser",
        "visit:os",
        "time:hour",
        "time:day",
        "visit:visitor",
        "event:visitor",
    ];
    let mut answered = 0;
    for dimension in dimensions {
        let question = format!(
            r#"{{"site_id":"example.com","metrics":["visitors","visits","pageviews"],"date_range":"day","dimensions":["{dimension}"]}}"#
        );
        let headers = [("authorization", bearer.as_str())];
        let answer = client.send("POST", "/api/v2/query", &headers, question.as_bytes()).unwrap();
        answered += usize::from(answer.status == 200);
        shown.push((format!("the answer by {dimension}"), answer.body));
        let output = server.command(&["query", "--site", "example.com", &question]);
        shown.push((format!("the command's answer by {dimension}"), output.stdout));
        shown.push((format!("the command's error by {dimension}"), output.stderr));
    }
    assert!((10..=15).contains(&answered), "{answered} answers");
    for arguments in [&["site", "list"][..], &["key", "list"], &["import", "list"]] {
        shown.push((format!("{arguments:?}"), server.command(arguments).stdout));
    }
    shown.push(("what the server says".to_string(), server.log_text().into_bytes()));
    search.finds_nothing(&shown);
}

trait Concat {
    fn concat_text(&self) -> Vec<u8>;
}

impl Concat for Vec<(String, Vec<u8>)> {
    fn concat_text(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

/// A site is removed while a server runs and traffic for it goes on, from a history of its own and an import:
/// of its paths, its domain and its import's file name nothing is left, in no file, neither at once nor when
/// the server has ended. Another site keeps all of its own.
#[test]
fn clause_13_a_removed_site_leaves_none_of_its_bytes() {
    let mut random = Random(seed());
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let args = ["--site", "leaving-site.example", "--site", "staying-site.example"];
    let start = Start { folder: folder.path(), args: &args, envs: &[] };
    let server = start.ready();
    let data = folder.path().join("data");
    let word = |random: &mut Random| format!("goner{}", 10_000 + random.below(90_000));
    let name = format!("{}.log", word(&mut random));
    let log = outside.path().join(&name);
    let imported = word(&mut random);
    let lines = (0..500).map(|n| {
        format!(
            "192.0.2.{} - - [{:02}/May/2015:10:05:03 +0000] \"GET /{imported}/{n} HTTP/1.1\" 200 1 \"-\" \"{BROWSER}\"\n",
            n % 200,
            1 + n % 28
        )
    });
    std::fs::write(&log, lines.collect::<String>()).unwrap();
    let said =
        server.command(&["import", "access-log", log.to_str().unwrap(), "--site", "leaving-site.example"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let before = word(&mut random);
    for n in 0..50 {
        assert_eq!(view(&server, "leaving-site.example", &format!("/{before}/{n}"), &[]), 202);
        assert_eq!(view(&server, "staying-site.example", &format!("/stays/{n}"), &[]), 202);
    }
    let during = word(&mut random);
    let markers: Vec<_> =
        ["leaving-site.example", &name, &imported, &before, &during].map(Marker::text).into();
    let store = server.store.clone();
    // Texts are packed in the log and in states; in the settings they stand as they are.
    let there = [files(&[&data]), decoded(&store)].concat().concat_text();
    for marker in &markers[..4] {
        assert!(marker.found_in(&there).is_some(), "the search cannot find {}", marker.name);
    }

    let removed = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut last = 202;
            while !removed.load(Ordering::Relaxed) {
                last = view(&server, "leaving-site.example", &format!("/{during}"), &[]);
                view(&server, "staying-site.example", "/stays", &[]);
            }
            last
        });
        let said = server.command(&["site", "remove", "leaving-site.example", "--yes"]);
        removed.store(true, Ordering::Relaxed);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        traffic.join().unwrap()
    });
    assert_eq!(refused, 400, "the server no longer counts it");
    let search = Search::new(&markers);
    search.finds_nothing(&files(&[&data]));
    search.finds_nothing(&decoded(&store));
    assert_eq!(view(&server, "staying-site.example", "/stays", &[]), 202);
    assert!(server.stop().success());
    search.finds_nothing(&files(&[&data]));
    search.finds_nothing(&decoded(&store));
    assert_eq!(command(&store, &["import", "list"]).stdout, b"");
    let question = r#"{"metrics":["pageviews"],"date_range":"all","dimensions":["event:page"]}"#;
    let stays = common::server::query(&store, "staying-site.example", question).to_string();
    assert!(stays.contains("/stays/49"), "{stays}");
}

/// What the system was asked for, by a server under load: no connection to anything, and no file to write but
/// the store's, the salts' and standard output.
#[cfg(target_os = "linux")]
#[test]
fn clause_14_no_connection_but_to_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let port = common::server::free_port();
    let store = folder.path().join("data/passerby.db");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=network,open,openat,openat2,creat", "-e", "signal=none", "-o"])
        .arg(&trace)
        .args([BINARY, "serve", "--site", "example.com", "--public"])
        .args(["--listen", &format!("127.0.0.1:{port}"), "--store", &store_url(&store)])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("strace: ./test installs it");
    let server = Server {
        child: Command::new("true").spawn().unwrap(),
        address: ([127, 0, 0, 1], port).into(),
        store: store.clone(),
        log: folder.path().join("none"),
    };
    server.wait();
    for n in 0..200 {
        assert_eq!(view(&server, "example.com", &format!("/{n}"), &[("sec-gpc", "0")]), 202);
    }
    let mut client = server.client();
    for path in ["/", "/example.com", "/example.com/pages", "/p.js", "/sign-in", "/nothing/here"] {
        client.get(path).unwrap();
    }
    assert!(command(&store, &["site", "list"]).status.success());
    // The tracer ends with what it traces, which is the one other process of its group.
    let traced = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    let traced = rustix::process::Pid::from_raw(traced.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(traced, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());

    let trace = std::fs::read_to_string(trace).unwrap();
    let calls = |name: &str| -> Vec<&str> {
        let call = format!("{name}(");
        trace
            .lines()
            .filter(|line| line.split_whitespace().nth(1).is_some_and(|c| c.starts_with(&call)))
            .collect()
    };
    assert!(calls("listen").len() == 1 && calls("accept4").len() > 200, "the trace shows what happened");
    for outward in ["connect", "sendmmsg"] {
        assert_eq!(calls(outward), Vec::<&str>::new());
    }
    // A socket to send to without connecting would be one more than that which is listened on. (What wakes
    // the runtime at a signal is a pair of sockets, connected to each other.)
    let sockets: Vec<_> = calls("socket").into_iter().filter(|call| !call.contains("AF_UNIX")).collect();
    assert_eq!(sockets.len(), 1, "{sockets:#?}");
    let named = |line: &&str| line.contains("sendto(") && !line.contains("NULL, 0)");
    assert_eq!(trace.lines().filter(named).collect::<Vec<_>>(), Vec::<&str>::new());

    let data = folder.path().join("data").display().to_string();
    for open in ["open", "openat", "openat2", "creat"].into_iter().flat_map(calls) {
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("].iter().any(|flag| open.contains(flag));
        let ours = open.contains(&data) || open.contains("/passerby-salts-");
        assert!(!writes || ours, "{open}");
    }
    // Beneath /dev/shm or /run/user, since no folder was given.
    for open in calls("openat").into_iter().filter(|open| open.contains("passerby-salts-")) {
        let salts = open.split('"').nth(1).unwrap();
        let _ = std::fs::remove_file(salts);
    }
}
