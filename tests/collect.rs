//! What `/api/track` and `/api/event` answer to what, and what comes of it.

mod served;

use axum::body::{Body, Bytes};
use expect_test::{Expect, expect};
use passerby::web::WebConfig;
use passerby_engine::block::decode_flush;
use passerby_engine::event::Reason;
use served::{BROWSER, NOON_MS, PEER, Server};
use std::convert::Infallible;

const HEADERS: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "allow",
    "retry-after",
    "x-plausible-dropped",
];

/// Sends a request from a browser and compares the answer.
async fn check(request: &str, expected: Expect) {
    let server = Server::start(WebConfig::default(), None).await;
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let answer = server.send(&format!("{head}\nuser-agent: {BROWSER}\n\n{body}")).await;
    expected.assert_eq(&answer.show(&HEADERS));
}

#[tokio::test]
async fn a_batch_is_taken() {
    check(
        r#"POST /api/track

{"v":1,"site":"example.com","batch":"0123456789abcdef","sent":0,"events":[{"type":"pageview","url":"https://example.com/"},{"type":"event","name":"Sign up","url":"https://example.com/"}]}"#,
        expect![[r#"
            202
            access-control-allow-origin: *
            {"accepted":2,"dropped":[]}"#]],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_counted_is_named_and_harms_nothing_beside_it() {
    check(
        r#"POST /api/track
content-type: text/plain

{"v":1,"site":"www.example.com","batch":"0123456789abcdef","events":[{"type":"event","url":"https://example.com/"},{"url":"https://example.com/"},{"url":"https://example.com/","age":86400001},{"type":"pageview"}]}"#,
        expect![[r#"
            202
            access-control-allow-origin: *
            {"accepted":1,"dropped":[{"index":0,"reason":"no_name"},{"index":2,"reason":"too_old"},{"index":3,"reason":"bad_url"}]}"#]],
    )
    .await;
}

#[tokio::test]
async fn a_bare_array_finds_its_site() {
    for head in [
        "POST /api/track?site=example.com",
        "POST /api/track\norigin: https://www.example.com",
        "POST /api/track\norigin: https://example.com:8443",
    ] {
        check(
            &format!(
                "{head}\n\n{}",
                r#"[{"type":"pageview","pathname":"/a","sessionId":"x"},{"type":"signup","pathname":"/a"}]"#
            ),
            expect![[r#"
                202
                access-control-allow-origin: *
                {"accepted":2,"dropped":[]}"#]],
        )
        .await;
    }
}

#[tokio::test]
async fn a_site_that_is_not_here() {
    check(
        r#"POST /api/track

{"v":1,"site":"nowhere.example","events":[{"url":"https://nowhere.example/"}]}"#,
        expect![[r#"
            400
            access-control-allow-origin: *
            {"accepted":0,"reason":"unknown_site"}"#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_batch() {
    for body in ["", "{", "null", "7", r#"{"v":2,"site":"example.com","events":[]}"#, &"[".repeat(1000)] {
        check(
            &format!("POST /api/track\n\n{body}"),
            expect![[r#"
                400
                access-control-allow-origin: *
                {"accepted":0,"reason":"malformed"}"#]],
        )
        .await;
    }
}

#[tokio::test]
async fn a_content_encoding_is_refused() {
    check(
        "POST /api/track\ncontent-encoding: gzip\n\nanything",
        expect![[r#"
            415
            access-control-allow-origin: *
            {"error":"send it without a content encoding"}"#]],
    )
    .await;
}

#[tokio::test]
async fn other_methods_are_refused() {
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        for path in ["/api/track", "/api/event"] {
            check(
                &format!("{method} {path}"),
                expect![[r#"
                    405
                    access-control-allow-origin: *
                    allow: POST, OPTIONS
                    {"error":"send it with POST"}"#]],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_preflight() {
    let server = Server::start(WebConfig::default(), None).await;
    for path in ["/api/track", "/api/event"] {
        let answer = server
            .send(&format!("OPTIONS {path}\norigin: https://example.com\naccess-control-request-method: POST\naccess-control-request-headers: content-type"))
            .await;
        expect![[r#"
            204
            access-control-allow-origin: *
            access-control-allow-methods: POST, OPTIONS
            access-control-allow-headers: content-type, *
            access-control-max-age: 86400"#]]
        .assert_eq(&answer.show(&[
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "access-control-allow-methods",
            "access-control-allow-headers",
            "access-control-max-age",
        ]));
    }
}

#[tokio::test]
async fn more_than_64_kib_is_refused_before_it_is_read() {
    let server = Server::start(WebConfig::default(), None).await;
    let answer = server.send(&format!("POST /api/track\n\n{}", "x".repeat(64 * 1024 + 1))).await;
    assert_eq!(answer.status, 413);
    // A body that would fail if anybody read it, and says that it is long.
    let unread = BodyOf { bytes: 70_000, pieces: None };
    assert_eq!(server.send_body(PEER, "POST /api/track", Body::new(unread)).await.status, 413);
    // In pieces of no announced length.
    let endless = std::iter::repeat_n(Bytes::from(vec![b' '; 10_000]), 7).collect();
    let endless = BodyOf { bytes: 0, pieces: Some(endless) };
    assert_eq!(server.send_body(PEER, "POST /api/track", Body::new(endless)).await.status, 413);
}

#[tokio::test]
async fn a_body_in_pieces_is_one_body() {
    let server = Server::start(WebConfig::default(), None).await;
    let batch = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/in-pieces"}]}"#;
    let pieces = batch.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let body = BodyOf { bytes: 0, pieces: Some(pieces) };
    let answer =
        server.send_body(PEER, &format!("POST /api/track\nuser-agent: {BROWSER}"), Body::new(body)).await;
    assert_eq!(answer.show(&[]), "202\n{\"accepted\":1,\"dropped\":[]}");
}

#[tokio::test]
async fn plausibles_event() {
    check(
        r#"POST /api/event

{"n":"pageview","u":"https://example.com/","d":"example.com"}"#,
        expect![[r#"
            202
            access-control-allow-origin: *
            ok"#]],
    )
    .await;
}

#[tokio::test]
async fn plausibles_event_for_several_sites() {
    check(
        r#"POST /api/event

{"n":"pageview","u":"https://example.com/","d":"example.com,nowhere.example,other.example,elsewhere.example"}"#,
        expect![[r#"
            202
            access-control-allow-origin: *
            x-plausible-dropped: 2
            ok"#]],
    )
    .await;
}

#[tokio::test]
async fn plausibles_refusals() {
    check(
        "POST /api/event\n\n{",
        expect![[r#"
            400
            access-control-allow-origin: *
            {"errors":{"request":["Unable to parse request body as json"]}}"#]],
    )
    .await;
}

#[tokio::test]
async fn a_machine_is_not_counted_and_told_so() {
    let server = Server::start(WebConfig::default(), None).await;
    let batch = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/"}]}"#;
    let answer = server
        .send(&format!(
            "POST /api/track\nuser-agent: Googlebot/2.1 (+http://www.google.com/bot.html)\n\n{batch}"
        ))
        .await;
    assert_eq!(answer.show(&[]), "202\n{\"accepted\":0,\"dropped\":[{\"index\":0,\"reason\":\"bot\"}]}");
    // The owner sees it too: in the log, from where it is counted.
    server.app.committer.close().await;
    let log = server.app.store.read_log(0, 1 << 20).await.unwrap();
    let flushes = log.flushes.iter().map(|(_, bytes)| decode_flush(bytes).unwrap());
    let dropped: Vec<_> = flushes.flat_map(|flush| flush.dropped).map(|of| (of.reason, of.count)).collect();
    assert_eq!(dropped, [(Reason::Bot, 1)]);
}

#[tokio::test]
async fn a_yes_is_in_the_log() {
    let server = Server::start(WebConfig::default(), None).await;
    let batch = r#"{"v":1,"site":"example.com","batch":"0123456789abcdef","events":[{"url":"https://example.com/there","age":1500}]}"#;
    let answer = server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{batch}")).await;
    assert_eq!(answer.status, 202);
    let log = server.app.store.read_log(0, 1 << 20).await.unwrap();
    let flush = decode_flush(&log.flushes[0].1).unwrap();
    let event = &flush.blocks[0].events[0];
    assert_eq!(event.at_ms, NOON_MS - 1500);
    assert_eq!(flush.blocks[0].dicts.page.0[event.page as usize], "/there");
    assert!(flush.blocks[0].batches[0].visitor.is_some());
}

#[tokio::test]
async fn a_retry_is_accepted_and_counts_once() {
    let server = Server::start(WebConfig::default(), None).await;
    let batch = r#"{"v":1,"site":"example.com","batch":"0123456789abcdef","sent":SENT,"events":[{"url":"https://example.com/once"}]}"#;
    for sent in ["0", "3000", "9000"] {
        let batch = batch.replace("SENT", sent);
        let answer = server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{batch}")).await;
        assert_eq!(answer.show(&[]), "202\n{\"accepted\":1,\"dropped\":[]}");
    }
    server.app.folder.settle().await;
    let site = server.app.sites.get("example.com", NOON_MS).await.unwrap().unwrap();
    let question = br#"{"metrics":["pageviews","visitors"],"date_range":"day"}"#;
    let report = passerby::web::ask(&server.app.answers, &site, question, NOON_MS).await.unwrap();
    assert!(report.starts_with(r#"{"results":[{"metrics":[1,1],"#), "{report}");
}

#[tokio::test]
async fn after_the_end_nothing_is_taken() {
    let server = Server::start(WebConfig::default(), None).await;
    server.app.close().await;
    let batch = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/"}]}"#;
    let answer = server.send(&format!("POST /api/track\nuser-agent: {BROWSER}\n\n{batch}")).await;
    expect![[r#"
        503
        access-control-allow-origin: *
        retry-after: 5
        {"error":"not now; keep it and send it again"}"#]]
    .assert_eq(&answer.show(&HEADERS));
}

#[tokio::test]
async fn health_tells_when_the_fold_has_stopped() {
    let server = Server::start(WebConfig::default(), None).await;
    assert_eq!(server.send("GET /health").await.show(&[]).lines().next(), Some("200"));
    server.app.folder.close().await;
    expect![[r#"
        503
        {"status":"the fold has stopped; start the server again"}"#]]
    .assert_eq(&server.send("GET /health").await.show(&[]));
}

#[tokio::test]
async fn a_site_added_by_another_process_is_found() {
    let server = Server::start(WebConfig::default(), None).await;
    let batch = r#"POST /api/track

{"v":1,"site":"new.example","events":[{"url":"https://new.example/"}]}"#;
    assert_eq!(server.send(batch).await.status, 400);
    // Another process: another connection to the same file.
    let other = passerby::sites::Sites::open(passerby::store::open(&server.url).unwrap()).await.unwrap();
    other.add(&"new.example".into(), Some("Europe/Berlin"), NOON_MS).await.unwrap();
    server.wait_ms(1000);
    assert_eq!(server.send(batch).await.status, 202);
    other.remove("new.example").await.unwrap();
    server.wait_ms(1000);
    assert_eq!(server.send(batch).await.status, 400);
}

/// Two requests that differ only in headers that an untrusted peer made up are counted alike.
#[tokio::test]
async fn headers_from_a_stranger_change_nothing() {
    let spoofed = "x-forwarded-for: 198.51.100.9\nforwarded: for=198.51.100.9\nx-real-ip: 198.51.100.9\ncf-connecting-ip: 198.51.100.9\n\
                   cf-ipcountry: FR\nx-vercel-ip-country: FR\nx-vercel-ip-city: Paris\nx-plausible-ip: 198.51.100.9\ntrue-client-ip: 198.51.100.9\n\
                   cloudfront-viewer-address: 198.51.100.9:1\ncloudfront-viewer-country: FR\nx-nf-client-connection-ip: 198.51.100.9";
    for platform in ["vercel", "cloudflare", "cloudfront", "netlify"] {
        let web = WebConfig {
            platform: Some(platform.parse().unwrap()),
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            ..WebConfig::default()
        };
        let server = Server::start(web, None).await;
        let batch = r#"{"v":1,"site":"example.com","events":[{"url":"https://example.com/"}]}"#;
        for headers in [String::new(), format!("\n{spoofed}")] {
            let answer =
                server.send(&format!("POST /api/track\nuser-agent: {BROWSER}{headers}\n\n{batch}")).await;
            assert_eq!(answer.status, 202);
        }
        // From the proxy the same headers do count: another visitor.
        let answer = server
            .send_from("10.1.2.3:1", &format!("POST /api/track\nuser-agent: {BROWSER}\n{spoofed}\n\n{batch}"))
            .await;
        assert_eq!(answer.status, 202);
        let log = server.app.store.read_log(0, 1 << 20).await.unwrap();
        let blocks = log.flushes.iter().flat_map(|(_, bytes)| decode_flush(bytes).unwrap().blocks);
        let seen: Vec<_> =
            blocks.map(|block| (block.batches[0].visitor, block.dicts.place[0].clone())).collect();
        assert_eq!(seen[0], seen[1], "{platform}");
        assert_ne!(seen[0].0, seen[2].0, "{platform}");
    }
}

/// A body that announces a length, or comes in pieces; read without pieces it fails the test.
struct BodyOf {
    bytes: u64,
    pieces: Option<Vec<Bytes>>,
}

impl hyper::body::Body for BodyOf {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        let pieces = self.pieces.as_mut().expect("the body was read");
        let piece = if pieces.is_empty() { None } else { Some(pieces.remove(0)) };
        std::task::Poll::Ready(piece.map(|piece| Ok(hyper::body::Frame::data(piece))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        if self.pieces.is_none() {
            hyper::body::SizeHint::with_exact(self.bytes)
        } else {
            hyper::body::SizeHint::default()
        }
    }
}

#[tokio::test]
async fn a_flood_from_one_address_is_stopped() {
    let server = Server::start(WebConfig::default(), None).await;
    let mut statuses = std::collections::BTreeMap::new();
    let peer = PEER.parse::<std::net::SocketAddr>().unwrap().ip();
    for _ in 0..4_999 {
        server.app.flood.admit(peer, NOON_MS).unwrap();
    }
    let mut last = None;
    for _ in 0..10 {
        let answer = server.send("POST /api/track\n\n{").await;
        *statuses.entry(answer.status).or_insert(0) += 1;
        last = Some(answer);
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [(400, 1), (429, 9)]);
    expect![[r#"
        429
        access-control-allow-origin: *
        retry-after: 10
        {"error":"too many requests"}"#]]
    .assert_eq(&last.unwrap().show(&HEADERS));
    // One of these could share the word that the first is counted in, not both.
    let mut others = Vec::new();
    for peer in ["198.51.100.1:1", "203.0.113.1:1"] {
        others.push(server.send_from(peer, "POST /api/track\n\n{").await.status);
    }
    assert!(others.contains(&400), "{others:?}");
}
