//! Every refusal of the web layer, on the program as it runs: methods by addresses, bodies, encodings, headers,
//! floods; who may see what; and that what is refused costs no memory.

mod common;

use common::http::{Answer, Client};
use common::server::{Server, Start};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

const TRACK: &str = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/"}]}"#;

/// A header's names and values but for the time of day.
fn headers(answer: &Answer) -> BTreeMap<String, String> {
    answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect()
}

#[test]
fn each_address_has_its_methods() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"];
    for (path, statuses) in [
        ("/api/track", [405, 405, 400, 405, 405, 405, 204, 405, 405]),
        ("/api/event", [405, 405, 400, 405, 405, 405, 204, 405, 405]),
        ("/api/v2/query", [405, 405, 401, 405, 405, 405, 405, 405, 405]),
        ("/p.js", [200, 200, 405, 405, 405, 405, 405, 405, 405]),
        ("/health", [200, 200, 405, 405, 405, 405, 405, 405, 405]),
        ("/", [303, 303, 405, 405, 405, 405, 405, 405, 405]),
        ("/sign-in", [200, 200, 403, 405, 405, 405, 405, 405, 405]),
        ("/sign-out", [405, 405, 403, 405, 405, 405, 405, 405, 405]),
        ("/example.com", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
        ("/example.com/pages", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
        ("/example.com/first", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
        ("/nowhere.example", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
        ("/_/nothing.css", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
        ("/no/such/address/at/all", [404; 9]),
        ("/api/track/", [404; 9]),
        ("/..%2f..%2fetc%2fpasswd", [404, 404, 405, 405, 405, 405, 405, 405, 405]),
    ] {
        let mut got = [0; 9];
        for (status, method) in got.iter_mut().zip(methods) {
            let answer = server.client().send(method, path, &[], b"").unwrap();
            *status = answer.status;
            assert!(answer.header("set-cookie").is_none(), "{method} {path}");
            assert!(answer.header("access-control-allow-credentials").is_none(), "{method} {path}");
            let open = matches!(path, "/api/track" | "/api/event" | "/p.js");
            let origin = answer.header("access-control-allow-origin");
            assert!(origin.is_none() || (open && origin == Some("*")), "{method} {path}: {origin:?}");
            if !open {
                assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
                assert!(answer.header("cache-control").is_some(), "{method} {path}");
            }
            if answer.status == 405 {
                assert!(answer.header("allow").is_some(), "{method} {path} says what is allowed");
            }
        }
        assert_eq!(got, statuses, "{path}: {methods:?}");
    }
}

/// Bodies and headers that are refused, by status and, where there is one, reason.
#[test]
fn what_is_refused_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let deep = |n: usize| {
        format!(
            r#"{{"v":1,"site":"example.com","events":[{{"url":"https://example.com/","x":{}{}}}]}}"#,
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    let size = |n: usize| format!("{TRACK}{}", " ".repeat(n - TRACK.len()));
    let many = format!(
        r#"{{"v":1,"site":"example.com","events":[{}]}}"#,
        vec![r#"{"url":"https://example.com/"}"#; 101].join(",")
    );
    let (deep5, deep6, deepest) = (deep(5), deep(6), deep(20_000));
    let (full, over) = (size(64 * 1024), size(64 * 1024 + 1));
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let table: [Row; 16] = [
        ("whole", &[], TRACK.as_bytes(), 202, r#"{"accepted":1,"dropped":[]}"#),
        ("any content type", &[("content-type", "image/png")], TRACK.as_bytes(), 202, ""),
        ("64 KiB", &[], full.as_bytes(), 202, ""),
        ("a byte more", &[], over.as_bytes(), 413, "more than 64 KiB"),
        ("as deep as may be", &[], deep5.as_bytes(), 202, ""),
        ("deeper", &[], deep6.as_bytes(), 400, "malformed"),
        ("very deep", &[], deepest.as_bytes(), 400, "malformed"),
        ("one event too many", &[], many.as_bytes(), 202, r#"{"index":100,"reason":"too_many_events"}"#),
        ("nothing", &[], b"", 400, "malformed"),
        ("no UTF-8", &[], b"{\"v\":1,\"site\":\"\xff\xfe\"}", 400, ""),
        ("cut off", &[], &TRACK.as_bytes()[..40], 400, "malformed"),
        ("gzip", &[("content-encoding", "gzip")], TRACK.as_bytes(), 415, "without a content encoding"),
        ("br", &[("content-encoding", "br")], TRACK.as_bytes(), 415, ""),
        ("two encodings", &[("content-encoding", "identity, gzip")], TRACK.as_bytes(), 415, ""),
        ("said to be as it is", &[("content-encoding", "identity")], TRACK.as_bytes(), 202, ""),
        (
            "with credentials",
            &[("cookie", "passerby=1"), ("origin", "https://evil.example")],
            TRACK.as_bytes(),
            202,
            "",
        ),
    ];
    for (what, with, body, status, says) in table {
        let with = [&[("user-agent", BROWSER)], with].concat();
        let answer = server.client().send("POST", "/api/track", &with, body).unwrap();
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.text().contains(says), "{what}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{what}");
    }
}

/// Bytes that are no request, or one of two meanings: refused or closed, and the server goes on.
#[test]
fn bytes_that_are_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(64 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(2_000));
    let address = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(64 * 1024));
    let smuggled =
        "POST /api/track HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde";
    for (what, bytes, statuses) in [
        ("a header without end", long.as_str(), &["", "431"][..]),
        ("too many headers", &many, &["", "431"]),
        ("an address without end", &address, &["", "414", "431"]),
        ("two lengths", smuggled, &["", "400"]),
        (
            "a length that is none",
            "POST /api/track HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            &["", "400"],
        ),
        ("a header with a null", "GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n", &["", "400"]),
        ("another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", &["", "400"]),
        ("a version to come", "GET / HTTP/9.9\r\nhost: x\r\n\r\n", &["", "400", "505"]),
        ("the second version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["", "400", "505"]),
        (
            "chunks that lie",
            "POST /api/track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            &["", "400"],
        ),
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // The other side may stop reading before we stop writing.
        let _ = stream.write_all(bytes.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(statuses.contains(&status), "{what}: {answer}");
    }
    assert_eq!(server.client().get("/health").unwrap().status, 200);
    let log = server.log_text();
    assert!(!log.contains("panicked") && !log.contains("evil"), "{log}");
}

/// Pages on memory: resident, KiB.
#[cfg(target_os = "linux")]
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Ten thousand bad requests, each another, leave memory where it was after the first two thousand.
#[cfg(target_os = "linux")]
#[test]
fn bad_requests_leave_memory_flat() {
    let folder = tempfile::tempdir().unwrap();
    let server = Start {
        folder: folder.path(),
        args: &["--site", "example.com", "--trusted-proxy", "127.0.0.0/8"],
        envs: &[],
    }
    .ready();
    let mut client: Client = server.client();
    let mut send = |n: usize| {
        let unknown = format!(r#"{{"v":1,"site":"site-{n}.example","events":[{{"url":"/"}}]}}"#);
        let address = format!("2001:db8:{:x}:{:x}::1", n / 0xffff, n % 0xffff);
        let agent = format!("Agent/{n} {}", "x".repeat(n % 500));
        let page = format!("/page-{n}.example/{n}?{n}");
        let (method, path, body) = match n % 8 {
            0 => ("POST", "/api/track", "{".repeat(n % 60_000)),
            1 => ("POST", "/api/track", unknown),
            2 => ("POST", "/api/event", format!(r#"{{"n":"{n}"}}"#)),
            3 => ("POST", "/api/v2/query", unknown),
            4 => ("GET", page.as_str(), String::new()),
            5 => ("POST", "/sign-in", format!("password={n}")),
            6 => ("DELETE", page.as_str(), String::new()),
            _ => ("POST", "/api/track", " ".repeat(65_537)),
        };
        let headers = [
            ("user-agent", agent.as_str()),
            ("x-forwarded-for", address.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", "Bearer pb_0123456789abcdef_0"),
        ];
        // A request refused before its body was read ends its connection, and the client begins another.
        if let Ok(answer) = client.send(method, path, &headers, body.as_bytes()) {
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    };
    (0..2_000).for_each(&mut send);
    let before = resident(&server);
    (2_000..10_000).for_each(&mut send);
    let after = resident(&server);
    println!("{before} KiB after 2,000 bad requests, {after} KiB after 10,000");
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    assert!(server.stop().success());
}

/// What is public is the dashboards, and nothing beside them.
#[test]
fn public_shows_dashboards_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        Start { folder: folder.path(), args: &["--site", "example.com", "--public"], envs: &[] }.ready();
    let mut client = server.client();
    assert_eq!(
        client.send("POST", "/api/track", &[("user-agent", BROWSER)], TRACK.as_bytes()).unwrap().status,
        202
    );
    for path in ["/", "/example.com", "/example.com/pages", "/example.com/first"] {
        assert_eq!(client.get(path).unwrap().status, 200, "{path}");
    }
    let question = br#"{"site_id":"example.com","metrics":["visitors"],"date_range":"day"}"#;
    let same = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
    for (method, path, body, status) in [
        ("POST", "/api/v2/query", &question[..], 401),
        ("POST", "/sign-in", b"password=", 401),
        ("GET", "/example.com/settings", b"", 404),
        ("GET", "/settings", b"", 404),
        ("GET", "/api/keys", b"", 404),
        ("GET", "/nowhere.example", b"", 404),
    ] {
        let answer = client.send(method, path, &same, body).unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.header("set-cookie").is_none(), "{path}");
    }
}

/// A site that is here and may not be seen, and one that is not here: the same status, the same headers, the
/// same bytes, for pages and for the API, with a key for another site and with none.
#[test]
fn unknown_and_forbidden_look_alike() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--site", "hidden.example", "--site", "mine.example"];
    let server = Start { folder: folder.path(), args: &args, envs: &[] }.ready();
    let key = server.command(&["key", "add", "mine", "--site", "mine.example"]).stdout;
    let bearer = format!("Bearer {}", String::from_utf8(key).unwrap().trim());
    let mut client = server.client();
    for path in [
        "",
        "/",
        "/first",
        "/pages",
        "/sources",
        "/nothing",
        "?period=7d",
        "/pages?period=30d",
        "/a/b/c",
        "?%ff",
    ] {
        for method in ["GET", "HEAD"] {
            for with in [&[][..], &[("accept-encoding", "gzip")], &[("cookie", "passerby=1")]] {
                let mut ask = |site: &str| {
                    let answer = client.send(method, &format!("/{site}{path}"), with, b"").unwrap();
                    (answer.status, headers(&answer), answer.body)
                };
                assert_eq!(ask("hidden.example"), ask("absent.example"), "{method} {path}");
            }
        }
    }
    for authorization in [bearer.as_str(), "Bearer pb_0123456789abcdef_0", "Bearer ", "Basic eDp5", ""] {
        let mut ask = |site: &str| {
            let question = format!(r#"{{"site_id":"{site}","metrics":["nonsense"],"date_range":"day"}}"#);
            let with = [("authorization", authorization)];
            let answer = client.send("POST", "/api/v2/query", &with, question.as_bytes()).unwrap();
            (answer.status, headers(&answer), answer.text())
        };
        let hidden = ask("hidden.example");
        assert_eq!(hidden.0, 401, "{authorization}");
        assert_eq!(hidden, ask("absent.example"), "{authorization}");
        assert_eq!(hidden, ask("no domain at all"), "{authorization}");
    }
}
