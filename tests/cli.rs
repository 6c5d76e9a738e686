//! The program itself: what it says, how it ends, and that commands work beside a running server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder to run in; the store lies where it lies by default.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_passerby"));
        // Nothing of the tester's own environment.
        command.env_clear().current_dir(self.0.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that succeeds says.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line that a command says which fails.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }

    fn serve(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut child = command
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // The greeting ends with an empty line after what to paste, or what to add.
        while !(said.ends_with("\n\n")
            && (said.contains("Paste") || said.contains("No site"))
            && !said.ends_with("page:\n\n"))
        {
            if lines.read_line(&mut said).unwrap() == 0 {
                let mut errors = String::new();
                child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
                panic!("the server did not start: {errors}");
            }
        }
        let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Server { child, said, address }
    }
}

static BATCHES: AtomicU64 = AtomicU64::new(0);

struct Server {
    child: Child,
    said: String,
    address: SocketAddr,
}

impl Server {
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn track(&self, site: &str) -> String {
        // A batch without an id is known by its contents, and these are always the same.
        let batch = BATCHES.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"v":1,"site":"{site}","batch":"{batch:016}","events":[{{"url":"https://{site}/"}}]}}"#
        );
        let head = "POST /api/track HTTP/1.1\r\nhost: x\r\nconnection: close\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
        let answer = self.ask(&format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// Sends a signal, waits for the end, and gives the exit code and what was said on standard error.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("/bin/sh")
            .args(["-c", &format!("kill -{signal} {}", self.child.id())])
            .status()
            .unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status.code(), errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone, if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_first_run_says_what_to_do_and_ends_cleanly() {
    let home = Home::new();
    for signal in ["TERM", "INT"] {
        let server = home.serve(&["--site", "https://www.Example.com/"], &[]);
        assert!(server.said.contains("Dashboard  http://127.0.0.1:"), "{}", server.said);
        assert!(server.said.contains("/sign-in?token="), "{}", server.said);
        assert!(server.said.contains("passerby-data/passerby.db"), "{}", server.said);
        assert!(server.said.contains(r#"/p.js" data-site="example.com"></script>"#), "{}", server.said);
        assert!(
            server
                .ask("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .ends_with(r#""version":"0.1.0"}"#)
        );
        assert_eq!(server.track("example.com"), "HTTP/1.1 202 Accepted");
        assert_eq!(server.end(signal), (Some(0), String::new()));
        // The write-ahead log has been folded into the file.
        assert!(!home.0.path().join("passerby-data/passerby.db-wal").exists());
    }
    let report =
        home.says(&["query", "--site", "example.com", r#"{"metrics":["pageviews"],"date_range":"7d"}"#]);
    assert!(report.contains(r#""results":[{"#), "{report}");
    let report =
        home.says(&["query", "--site", "example.com", r#"{"metrics":["pageviews"],"date_range":"all"}"#]);
    assert!(report.starts_with(r#"{"results":[{"metrics":[2]"#), "{report}");
}

#[test]
fn the_environment_says_the_same_as_options() {
    let home = Home::new();
    let server = home.serve(
        &[],
        &[
            ("PASSERBY_SITE", "one.example, two.example"),
            ("PASSERBY_STORE", "sqlite:elsewhere/counts.db"),
            ("PASSERBY_PUBLIC", "true"),
        ],
    );
    assert!(server.said.contains("one.example") && server.said.contains("two.example"));
    assert!(
        server
            .ask("GET /one.example HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    );
    assert!(home.0.path().join("elsewhere/counts.db").exists());
}

#[test]
fn commands_work_beside_a_server() {
    let home = Home::new();
    let server = home.serve(&[], &[]);
    assert!(server.said.contains("passerby site add"));
    assert_eq!(server.track("late.example"), "HTTP/1.1 400 Bad Request");
    assert_eq!(
        home.says(&["site", "add", "late.example", "--timezone", "Europe/Berlin"]),
        "Added late.example, with days in Europe/Berlin.\n"
    );
    until("the site", || server.track("late.example") == "HTTP/1.1 202 Accepted");
    assert!(home.says(&["site", "list"]).starts_with("late.example\tEurope/Berlin\tsince "));
    // What the server has acknowledged, another process counts.
    let report =
        home.says(&["query", "--site", "late.example", r#"{"metrics":["visitors"],"date_range":"all"}"#]);
    assert!(report.starts_with(r#"{"results":[{"metrics":[1]"#), "{report}");
    assert!(
        home.says(&["sign-in", "--listen", "127.0.0.1:9"]).starts_with("http://127.0.0.1:9/sign-in?token=")
    );

    let mut asked = home
        .command(&["site", "remove", "late.example"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    asked.stdin.take().unwrap().write_all(b"something else\n").unwrap();
    assert_eq!(asked.wait().unwrap().code(), Some(1));
    assert!(home.says(&["site", "list"]).starts_with("late.example"));
    assert_eq!(home.says(&["site", "remove", "late.example", "--yes"]), "Removed late.example.\n");
    until("the end of the site", || server.track("late.example") == "HTTP/1.1 400 Bad Request");
    assert_eq!(home.says(&["site", "list"]), "");
    assert_eq!(server.end("TERM").0, Some(0));
}

#[test]
fn a_zone_changes_at_the_next_midnight() {
    let home = Home::new();
    home.says(&["site", "add", "example.com"]);
    assert_eq!(home.says(&["site", "add", "example.com"]), "example.com is already here.\n");
    let said = home.says(&["site", "add", "example.com", "--timezone", "Asia/Tokyo"]);
    assert!(
        said.starts_with("The days of example.com are in Asia/Tokyo from ")
            && said.contains("T00:00:00Z on;"),
        "{said}"
    );
    assert!(home.says(&["site", "list"]).starts_with("example.com\tUTC\t"));
}

#[test]
fn keys_are_shown_once() {
    let home = Home::new();
    home.says(&["site", "add", "example.com"]);
    let key = home.says(&["key", "add", "grafana", "--site", "example.com"]);
    assert!(key.starts_with("pb_") && key.trim().len() == 84, "{key}");
    assert_eq!(home.says(&["key", "list"]), "grafana\texample.com\n");
    home.says(&["key", "remove", "grafana"]);
    assert_eq!(home.says(&["key", "list"]), "");
}

#[test]
fn what_cannot_be_done_is_one_line() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let said = home.fails(&["serve", "--listen", &taken]);
    assert!(said.contains("the port is in use"), "{said}");
    assert!(!home.0.path().join("passerby-data").exists(), "a second server leaves no trace");

    home.says(&["site", "add", "example.com"]);
    for (arguments, what) in [
        (&["serve", "--listen", "nonsense"][..], "cannot listen on"),
        (&["serve", "--listen", "192.0.2.1:80"], "no such address"),
        (
            &["serve", "--listen", "127.0.0.1:0", "--store", "mysql:x"],
            "the store's address is not understood",
        ),
        (&["serve", "--listen", "127.0.0.1:0", "--site", "not a domain"], "is not a domain"),
        (&["serve", "--listen", "127.0.0.1:0", "--geo", "nowhere.mmdb"], "nowhere.mmdb"),
        (&["serve", "--listen", "127.0.0.1:0", "--platform", "heroku"], "heroku"),
        (&["serve", "--listen", "127.0.0.1:0", "--trusted-proxy", "10.0.0.0/64"], "10.0.0.0/64"),
        (&["site", "add", "x.example", "--timezone", "Mars/Olympus"], "is not a time zone"),
        (&["site", "remove", "nowhere.example", "--yes"], "there is no site nowhere.example"),
        (&["key", "remove", "nobody"], "there is no key"),
        (&["key", "add", "k", "--site", "nowhere.example"], "there is no site nowhere.example"),
        (&["query", "--site", "nowhere.example", "{}"], "there is no site nowhere.example"),
        (&["query", "--site", "example.com", "{}"], "metrics"),
        (&["query", "--site", "example.com", "nonsense"], "not JSON"),
        (&["site", "list", "--store", "sqlite:/proc/no/such/place.db"], "cannot be created"),
    ] {
        let said = home.fails(arguments);
        assert!(said.starts_with("passerby: ") && said.contains(what), "{arguments:?} said {said}");
    }
}

#[test]
fn a_store_from_the_future_is_left_alone() {
    let home = Home::new();
    home.says(&["site", "add", "example.com"]);
    let file = home.0.path().join("passerby-data/passerby.db");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 1_000_000).unwrap();
    let before = std::fs::read(&file).unwrap();
    let said = home.fails(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("newer"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_command_line_that_makes_no_sense_is_explained() {
    let home = Home::new();
    assert_eq!(home.run(&["serve", "--bogus"]).status.code(), Some(2));
    let help = home.says(&["--help"]);
    for command in ["serve", "site", "key", "query", "sign-in"] {
        assert!(help.contains(command), "{help}");
    }
    assert!(!Path::new(&home.0.path().join("passerby-data")).exists());
}

/// What a removed site's visitors looked at is in no file of the store any more, also while a server goes on.
#[test]
fn a_removed_site_leaves_nothing() {
    let home = Home::new();
    let server = home.serve(&["--site", "leaving.example", "--site", "staying.example"], &[]);
    for _ in 0..3 {
        assert_eq!(server.track("leaving.example"), "HTTP/1.1 202 Accepted");
        assert_eq!(server.track("staying.example"), "HTTP/1.1 202 Accepted");
    }
    home.says(&["site", "remove", "leaving.example", "--yes"]);
    let question = r#"{"metrics":["pageviews"],"date_range":"all"}"#;
    assert!(
        home.says(&["query", "--site", "staying.example", question])
            .starts_with(r#"{"results":[{"metrics":[3]"#)
    );
    assert_eq!(server.end("TERM"), (Some(0), String::new()));
    let file = home.0.path().join("passerby-data/passerby.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    // One site's day is open; of the other there is none.
    assert_eq!(count("SELECT count(DISTINCT site) FROM states"), 1);
    assert_eq!(count("SELECT count(DISTINCT site) FROM daily"), 1);
    assert!(
        home.says(&["query", "--site", "staying.example", question])
            .starts_with(r#"{"results":[{"metrics":[3]"#)
    );
}
