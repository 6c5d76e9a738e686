//! Lines as servers write them, and lines that nobody should.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// A line's fields, or why it is refused; and what it is if it is no page view.
fn show(line: &[u8]) -> String {
    let request = match parse(line) {
        Ok(request) => request,
        Err(refusal) => return format!("refused: {}", refusal.name()),
    };
    let at = jiff::Timestamp::from_millisecond(request.at_ms).unwrap();
    let view = match page_view(&request) {
        Ok(target) => format!("view {target}"),
        Err(why) => format!("{} {}", why.name(), request.target),
    };
    let Request { address, status, referrer, agent, .. } = &request;
    format!("{address} {at} {status} {view} [{referrer}] [{agent}]")
}

fn check(lines: &str, expect: Expect) {
    let shown: Vec<String> = lines.lines().map(|line| show(line.trim_start().as_bytes())).collect();
    expect.assert_eq(&shown.join("\n"));
}

#[test]
fn common_and_combined() {
    check(
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 2048
           192.0.2.7 - - [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/2.0" 304 - "-" "-"
           192.0.2.7 - - [17/May/2015:10:05:03 -0330] "GET /a HTTP/1.0" 200 0 "https://from.example/x" "Agent/1 (a; b)"
           2001:db8::7 - alice [29/Feb/2016:23:59:60 +0000] "GET /a HTTP/1.1" 206 1 "" "" "203.0.113.9" 0.004
           ::ffff:192.0.2.7 - al ice [x] [01/Jan/2020:00:00:00 +0000] "GET /a HTTP/1.1" 200 1 "r" "a""#,
        expect![[r#"
            192.0.2.7 2015-05-17T10:05:03Z 200 view / [] []
            192.0.2.7 2015-05-17T08:05:03Z 304 view /a?b=c [] []
            192.0.2.7 2015-05-17T13:35:03Z 200 view /a [https://from.example/x] [Agent/1 (a; b)]
            2001:db8::7 2016-02-29T23:59:59Z 206 view /a [] []
            192.0.2.7 2020-01-01T00:00:00Z 200 view /a [r] [a]"#]],
    );
}

#[test]
fn quotes_and_escapes() {
    check(
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a\"b HTTP/1.1" 200 1 "http://x/\\" "say \"hi\" \x41\xc3\xbc"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "Mozilla \xzz \ end\\"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a b c HTTP/1.1" 200 1 "-" "x"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /old" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /cut HTTP/1.1" 200 1 "-" "Mozilla/5.0 (Macin
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET http://example.com/p?q HTTP/1.1" 200 1 "-" "x"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET http://example.com HTTP/1.1" 200 1 "-" "x"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /to?u=http://e.example/x.png HTTP/1.1" 200 1 "-" "x""#,
        expect![[r#"
            192.0.2.7 2015-05-17T10:05:03Z 200 view /a"b [http://x/\] [say "hi" Aü]
            192.0.2.7 2015-05-17T10:05:03Z 200 view /a [] [Mozilla \xzz \ end\]
            192.0.2.7 2015-05-17T10:05:03Z 200 view /a b c [] [x]
            192.0.2.7 2015-05-17T10:05:03Z 200 view /old [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 view /cut [] [Mozilla/5.0 (Macin]
            192.0.2.7 2015-05-17T10:05:03Z 200 view /p?q [] [x]
            192.0.2.7 2015-05-17T10:05:03Z 200 view / [] [x]
            192.0.2.7 2015-05-17T10:05:03Z 200 view /to?u=http://e.example/x.png [] [x]"#]],
    );
}

#[test]
fn what_is_no_page_view() {
    check(
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "POST /a HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "HEAD / HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /gone HTTP/1.1" 404 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /moved HTTP/1.1" 301 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /x/style.min.CSS?v=3 HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /robots.txt HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /favicon.ico HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /feed.atom HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a.png/ HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /page.html HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /jquery-2.1 HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /png HTTP/1.1" 200 1"#,
        expect![[r#"
            192.0.2.7 2015-05-17T10:05:03Z 200 not_get /a [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 not_get / [] []
            192.0.2.7 2015-05-17T10:05:03Z 404 not_answered /gone [] []
            192.0.2.7 2015-05-17T10:05:03Z 301 not_answered /moved [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 asset /x/style.min.CSS?v=3 [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 asset /robots.txt [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 asset /favicon.ico [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 asset /feed.atom [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 view /a.png/ [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 view /page.html [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 view /jquery-2.1 [] []
            192.0.2.7 2015-05-17T10:05:03Z 200 view /png [] []"#]],
    );
}

#[test]
fn every_refusal_has_a_name() {
    check(
        r#"
           example.com:443 192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"
           example.com 2001:db8::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"
           dsl-7.provider.example - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x"
           {"remote_addr":"192.0.2.7","request":"GET / HTTP/1.1"}
           192.0.2.7
           192.0.2.7 - - 17/May/2015 "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015] "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [31/Feb/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:25:05:03 +0000] "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +9900] "GET / HTTP/1.1" 200 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "-" 408 0 "-" "-"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "\x16\x03\x01" 400 0 "-" "-"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET" 400 0 "-" "-"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" - 0 "-" "-"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1"
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 999 1
           192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP"#,
        expect![[r#"
            refused: empty
            refused: virtual_host
            refused: virtual_host
            refused: no_address
            refused: no_address
            refused: no_time
            refused: no_time
            refused: no_time
            refused: bad_time
            refused: bad_time
            refused: bad_time
            refused: bad_time
            refused: no_request
            refused: no_request
            refused: no_request
            refused: no_status
            refused: no_status
            refused: no_status
            refused: cut_off"#]],
    );
}

const GOOD: &[u8] =
    br#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a\"b HTTP/1.1" 200 1 "http://x/\\" "a \x41""#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever stands in a line, it is read or refused; bytes that are no text are replaced.
    #[test]
    fn garbage_harms_nothing(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        show(&garbage);
        let mut line = b"192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"GET /".to_vec();
        line.extend(&garbage);
        show(&line);
        line.extend(b" HTTP/1.1\" 200 1");
        show(&line);
    }

    #[test]
    fn a_line_may_be_cut_and_changed_anywhere(cut in 0..GOOD.len(), at in 0..GOOD.len(), byte in any::<u8>()) {
        show(&GOOD[..cut]);
        let mut line = GOOD.to_vec();
        line[at] = byte;
        show(&line);
    }
}
