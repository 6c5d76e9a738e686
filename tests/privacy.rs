//! PRIVACY.md, clause 1: no address and no full user agent reaches a disk, a log line or an error text, not
//! while the program runs, not at a clean stop, not after a kill, not in a write-ahead log or a freed page.
//!
//! Traffic comes from marked addresses (documentation ranges) with marked agents. Then everything the program
//! wrote is searched for them: see common/marks.rs. A search that could not find anything would prove nothing,
//! so it must first find a marker that was planted in a path. Temporary files would lie in the folder that is
//! searched, too, since `TMPDIR` is there.

mod common;

use common::marks::{Marker, Search, decoded, files, tmpfs};
use common::server::{BINARY, Server, Start, store_url};
use common::{Random, seed};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A server whose every place to write is one that the test looks into.
struct Watched {
    folder: TempDir,
    salts: Option<TempDir>,
}

impl Watched {
    fn new() -> Watched {
        let watched = Watched { folder: tempfile::tempdir().unwrap(), salts: tmpfs() };
        std::fs::create_dir(watched.tmp()).unwrap();
        watched
    }

    fn tmp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    fn start(&self) -> Server {
        let tmp = self.tmp().display().to_string();
        let mut envs = vec![("TMPDIR", tmp.as_str()), ("SQLITE_TMPDIR", tmp.as_str())];
        let salts = self.salts.as_ref().map(|folder| folder.path().display().to_string());
        envs.extend(salts.as_deref().map(|salts| ("RUNTIME_DIRECTORY", salts)));
        let args = ["--site", "example.com", "--trusted-proxy", "127.0.0.0/8"];
        Start { folder: self.folder.path(), args: &args, envs: &envs }.ready()
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("data").join("passerby.db")
    }

    /// Raw files first: to decode them is to open the store, which tidies it up.
    fn search(&self, planted: &Marker, kinds: &[&str], secret: &[Marker]) {
        let salts = self.salts.as_ref().map(TempDir::path);
        let folders: Vec<&Path> = salts.into_iter().chain([self.folder.path()]).collect();
        let files = files(&folders);
        let salts = files.iter().filter(|(name, _)| name.contains("passerby-salts-")).count();
        assert_eq!(salts, usize::from(self.salts.is_some()), "the salts' file is among what is searched");
        let search = Search::new(secret);
        search.finds_nothing(&files);
        let decoded = decoded(&self.store());
        for kind in kinds {
            assert!(
                decoded.iter().any(|(name, text)| name == kind && planted.found_in(text).is_some()),
                "the search cannot find what is there in the {kind}, so it proves nothing"
            );
        }
        search.finds_nothing(&decoded);
    }
}

fn random_address(random: &mut Random, v6: bool) -> IpAddr {
    if v6 {
        let (a, b, c) = (random.below(0xffff), 1 + random.below(0xfffe), random.below(0xffff));
        format!("2001:db8:{a:x}::{b:x}:{c:x}").parse().unwrap()
    } else {
        let net = ["192.0.2", "198.51.100", "203.0.113"][random.below(3) as usize];
        format!("{net}.{}", 1 + random.below(250)).parse().unwrap()
    }
}

fn marked_agent(mark: &str) -> String {
    format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 {mark}"
    )
}

/// Short and wordlike: long tokens in paths are masked (clause 10).
fn plant(random: &mut Random) -> String {
    format!("planted-{}", 1000 + random.below(9000))
}

/// Sends traffic with markers; gives what must be found and what must not.
fn traffic(server: &Server, random: &mut Random) -> (Marker, Vec<Marker>) {
    let planted = plant(random);
    let key = String::from_utf8(server.command(&["key", "add", "mine"]).stdout).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let mut secret = Vec::new();
    let mut client = server.client();
    for n in 0..130_u64 {
        let address = random_address(random, n % 2 == 1);
        let mark = format!("Marked{:016x}", random.next());
        let agent = match n % 10 {
            9 => format!("Googlebot/2.1 ({mark})"),
            _ => marked_agent(&mark),
        };
        let path = if n == 7 { format!("/{planted}") } else { format!("/page/{}", n % 5) };
        let batch = format!("{:016x}{:016x}", random.next(), random.next());
        let track = format!(
            r#"{{"v":1,"site":"example.com","batch":"{batch}","sent":0,"events":[{{"type":"pageview","url":"https://example.com{path}?e={mark}"}}]}}"#
        );
        let event = format!(r#"{{"n":"pageview","u":"https://example.com{path}","d":"example.com"}}"#);
        let elsewhere = track.replace("\"example.com\"", &format!("\"{mark}.example\""));
        let question = r#"{"site_id":"example.com","metrics":["visitors"],"date_range":"day"}"#.to_string();
        let unasked = format!(r#"{{"site_id":"example.com","metrics":["{mark}"],"date_range":"day"}}"#);
        let by_browser = format!("/example.com?{mark}={address}");
        let spent = format!("/sign-in?token={mark}");
        let missing = format!("/{mark}/{address}");
        let (method, to, body, expected) = match n % 13 {
            1 => ("POST", "/api/track", format!("{{not json {mark}"), 400),
            2 => ("POST", "/api/event", event, 202),
            3 => ("POST", "/api/track", elsewhere, 400),
            4 => (
                "POST",
                "/api/event",
                format!(r#"{{"n":"{mark}","u":"data:{mark}","d":"example.com"}}"#),
                400,
            ),
            5 => ("POST", "/api/v2/query", question, 200),
            6 => ("POST", "/api/v2/query", unasked, 400),
            8 => ("GET", by_browser.as_str(), String::new(), 404),
            9 => ("GET", missing.as_str(), String::new(), 404),
            10 => ("GET", spent.as_str(), String::new(), 401),
            11 => ("POST", "/sign-in", format!("password={mark}"), 401),
            12 => ("PATCH", "/api/track", mark.clone(), 405),
            _ => ("POST", "/api/track", track, 202),
        };
        let forwarded = address.to_string();
        let quoted = format!("for=\"[{address}]:4711\"");
        let form = "application/x-www-form-urlencoded";
        let mut headers = vec![
            ("content-type", if to == "/sign-in" { form } else { "text/plain" }),
            ("user-agent", agent.as_str()),
            ("authorization", bearer.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("cookie", "passerby=0000"),
        ];
        match n % 3 {
            0 if address.is_ipv6() => headers.push(("forwarded", quoted.as_str())),
            _ => headers.push(("x-forwarded-for", forwarded.as_str())),
        }
        let answer = client.send(method, to, &headers, body.as_bytes()).unwrap();
        // A wrong password too often is 429, which is as good here.
        let slowed = to == "/sign-in" && answer.status == 429;
        assert!(answer.status == expected || slowed, "{to}: {} {}", answer.status, answer.text());
        // A question's own words come back to whoever has a key; nothing else does.
        if expected != 400 || to != "/api/v2/query" {
            for (name, value) in &answer.headers {
                assert!(!value.contains(&mark) && !value.contains(&forwarded), "{to}: {name}: {value}");
            }
            assert!(!answer.text().contains(&mark), "{to}: the answer repeats {mark}");
        }
        assert!(!answer.text().contains(&forwarded), "{to}: the answer repeats {forwarded}");
        secret.push(Marker::address(address));
        secret.push(Marker::text(&mark));
    }
    (Marker::text(&planted), secret)
}

#[test]
fn clause_1_while_it_runs_and_after_a_clean_stop() {
    let watched = Watched::new();
    let server = watched.start();
    let (planted, secret) = traffic(&server, &mut Random(seed()));
    let wal = watched.folder.path().join("data/passerby.db-wal");
    assert!(std::fs::metadata(wal).unwrap().len() > 0, "there is a write-ahead log to search");
    watched.search(&planted, &["log"], &secret);
    assert!(server.stop().success());
    watched.search(&planted, &["state"], &secret);
}

#[test]
fn clause_1_after_a_kill_and_a_start_behind_it() {
    let watched = Watched::new();
    let server = watched.start();
    let (planted, secret) = traffic(&server, &mut Random(seed()));
    server.kill();
    watched.search(&planted, &["log"], &secret);
    assert!(watched.start().stop().success());
    watched.search(&planted, &["state"], &secret);
}

/// A crash writes no memory to a disk.
#[cfg(target_os = "linux")]
#[test]
fn clause_1_a_crash_leaves_no_dump() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let ended = server.child.wait().unwrap();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
}

fn import(watched: &Watched, text: &[u8], kill: bool) -> Output {
    let mut child = Command::new(BINARY)
        .args(["import", "access-log", "-", "--site", "example.com", "--keep-bots"])
        .args(["--store", &store_url(&watched.store())])
        .env_clear()
        .env("TMPDIR", watched.tmp())
        .env("SQLITE_TMPDIR", watched.tmp())
        .current_dir(watched.tmp())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than a pipe holds: once it is written most of it is read, and the program waits for the rest.
    input.write_all(text).unwrap();
    if kill {
        child.kill().unwrap();
    }
    drop(input);
    child.wait_with_output().unwrap()
}

#[test]
fn clause_1_of_an_imported_log_whole_or_killed_half_way() {
    let watched = Watched::new();
    watched.start().stop();
    let mut random = Random(seed());
    let planted = plant(&mut random);
    let (mut text, mut secret) = (String::new(), Vec::new());
    for n in 0..3_000_u64 {
        let address = random_address(&mut random, n % 2 == 1);
        let mark = format!("Marked{:016x}", random.next());
        let agent = marked_agent(&mark);
        let path = if n % 500 == 7 { format!("/{planted}") } else { format!("/page/{}?e={mark}", n % 50) };
        let when = format!("{:02}/May/2015:10:{:02}:{:02} +0000", 1 + n % 20, n / 60 % 60, n % 60);
        text += &match n % 20 {
            // Lines that cannot be read, in several ways; and requests that are no page view.
            11 => format!("{mark} {address} nonsense\n"),
            12 => format!("{address} - {mark} [{when}] \"\" 400 0 \"-\" \"{agent}\"\n"),
            13 => format!("{address} - - [99/May/2015] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"{agent}\"\n"),
            14 => format!("{address} - - [{when}] \"GET {path} HTTP/1.1\" 404 1 \"-\" \"{agent}\"\n"),
            _ => format!("{address} - {mark} [{when}] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"{agent}\"\n"),
        };
        // Each is one of thousands: a sample is as good, and the search the faster for it.
        if n % 10 < 2 || n % 20 > 10 {
            secret.push(Marker::address(address));
            secret.push(Marker::text(&mark));
        }
    }
    let search = Search::new(&secret);
    assert!(search.in_bytes(text.as_bytes()).is_some());
    for (kill, kinds) in [(true, &[][..]), (false, &["rollups", "segments"])] {
        let said = import(&watched, text.as_bytes(), kill);
        assert_eq!(said.status.success(), !kill, "{}", String::from_utf8_lossy(&said.stderr));
        search.finds_nothing(&[("standard output".into(), said.stdout), ("the errors".into(), said.stderr)]);
        watched.search(&Marker::text(&planted), kinds, &secret);
    }
}

#[test]
fn the_search_finds_every_form() {
    let address: IpAddr = "203.0.113.77".parse().unwrap();
    let marker = Marker::address(address);
    for text in [
        "client 203.0.113.77:80",
        "x=cb00714d",
        "x=CB00714D",
        "b64 MjAzLjAuMTEzLjc3",
        "b64 eDIwMy4wLjExMy43Nw==",
        "[203, 0, 113, 77]",
        "3405803853",
    ] {
        assert!(marker.found_in(text.as_bytes()).is_some(), "{text}");
    }
    assert!(marker.found_in(&[1, 2, 203, 0, 113, 77, 9]).is_some());
    assert!(marker.found_in(b"203.0.113.78").is_none());
    let long = Marker::address("2001:db8::7:1".parse().unwrap());
    for text in ["2001:db8::7:1", "2001:DB8::7:1", "2001:0db8:0000:0000:0000:0000:0007:0001"] {
        assert!(long.found_in(text.as_bytes()).is_some(), "{text}");
    }
    assert!(Marker::text("MarkedAb").found_in(b"x markedab").is_some());
}
