//! URLs taken apart, and what may be kept of them.
//!
//! A page is its path and nothing more (PRIVACY.md, clause 10): user info, port, fragment and parameters
//! fall away, unless the site routes by fragment or names parameters to keep; what looks like an e-mail
//! address or a token in what is left is replaced by `(email)` or `(token)`.
//!
//! This is not a URL parser of the standard kind: nothing is resolved or normalised, because two pages
//! that the site sees as different (by case, a trailing slash, a doubled slash) stay different here, as in
//! Plausible. It finds the borders between the parts in one pass and borrows.

use crate::event::Text;
use std::borrow::Cow;

/// Longest page kept, bytes; longer ones are cut.
pub const MAX_PAGE: usize = 2_000;

/// The parts of a URL, as written. Empty where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parts<'a> {
    /// Without the colon; empty for a relative URL.
    pub scheme: &'a str,
    /// Without user info and port; IPv6 with its brackets.
    pub host: &'a str,
    pub path: &'a str,
    /// Without the question mark.
    pub query: &'a str,
    /// Without the hash sign.
    pub fragment: &'a str,
}

/// Takes a URL, absolute (`https://a.b/c?d#e`), relative to a scheme (`//a.b/c`) or a path (`/c?d`), apart.
/// Any text has parts; whether they make sense is for the caller to say.
pub fn parts(url: &str) -> Parts<'_> {
    let url = url.trim();
    let (scheme, rest) = scheme(url);
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            // Browsers read a backslash as a slash here.
            let end = rest.bytes().position(|b| b == b'/' || b == b'\\').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (without_user_and_port(authority), path)
        }
        None => ("", rest),
    };
    Parts { scheme, host, path, query, fragment }
}

/// The scheme and what follows its colon; an empty scheme if there is none.
fn scheme(url: &str) -> (&str, &str) {
    let colon = url.bytes().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')));
    match colon {
        Some(at) if at > 0 && url.as_bytes()[at] == b':' && url.as_bytes()[0].is_ascii_alphabetic() => {
            (&url[..at], &url[at + 1..])
        }
        _ => ("", url),
    }
}

fn without_user_and_port(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// A host as it is kept and compared: lower case, without `www.` and a last dot.
pub fn hostname(host: &str) -> Text {
    let host = host.trim().trim_end_matches('.');
    let host = match host.get(..4) {
        Some(www) if www.eq_ignore_ascii_case("www.") => &host[4..],
        _ => host,
    };
    let mut host = Text::from(cut(host, 253));
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        host.make_ascii_lowercase();
    }
    host
}

/// Whether this can be the host of a page: not empty, at most 253 bytes, no spaces, quotes or controls.
pub fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && !host
            .bytes()
            .any(|b| b <= b' ' || matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|' | 0x7f))
}

/// The page that a URL shows, cleaned: the path, percent-decoded, without trailing white space, never
/// empty; the fragment after `#` if the site routes by it; `keep` parameters after `?`, in `keep`'s order.
pub fn page(parts: &Parts, hash_mode: bool, keep: &[Text]) -> Text {
    let path = decode(parts.path, false);
    let path = path.trim_end();
    let mut page = mask(path);
    if !page.starts_with('/') {
        page = Cow::Owned(format!("/{page}"));
    }
    if hash_mode && !parts.fragment.is_empty() {
        // A routed fragment has parameters of its own, dropped like the others.
        let end = parts.fragment.find(['?', '&']).unwrap_or(parts.fragment.len());
        let fragment = decode(&parts.fragment[..end], false);
        let page = page.to_mut();
        page.push('#');
        page.push_str(&mask(fragment.trim_end()));
    }
    let mut before = '?';
    for key in keep {
        if let Some(value) = pairs(parts.query).find(|(k, _)| decode(k, true) == key.as_str()).map(|(_, v)| v)
        {
            let page = page.to_mut();
            page.push(before);
            page.push_str(key);
            page.push('=');
            page.push_str(&mask(&decode(value, true)));
            before = '&';
        }
    }
    plain(&page, MAX_PAGE)
}

/// The parameters of a query, in order, still encoded.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Percent-decoding. A `%` without two hex digits stays; what would not be UTF-8 stays encoded as a whole.
/// With `plus`, a `+` is a space, as in queries.
pub fn decode(text: &str, plus: bool) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'%' => match (bytes.get(i + 1).and_then(hex), bytes.get(i + 2).and_then(hex)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    i += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if plus => out.push(b' '),
            _ => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

pub(crate) fn hex(byte: &u8) -> Option<u8> {
    (*byte as char).to_digit(16).map(|digit| digit as u8)
}

/// A text as we keep it: at most `max` bytes, control characters (which could end a line of a log or a
/// field of a key) turned into spaces.
pub fn plain(text: &str, max: usize) -> Text {
    let text = cut(text, max);
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
    }
    Text::from(text)
}

/// The first `max` bytes, or a few less where that would split a character.
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// Replaces e-mail addresses by `(email)` and long tokens by `(token)`.
///
/// A token is a run of letters, digits, `-` and `_` of 20 bytes or more that no human wrote: a UUID; 32 hex
/// digits; 48 letters and digits without a break; or ten letters and digits without a break in which the
/// kind of character (letter or digit, lower to upper case) changes at least every fifth time. Random
/// letters and digits change at nearly every second; words joined by hyphens and names in camel case do not.
pub fn mask(text: &str) -> Cow<'_, str> {
    let emails = mask_emails(text);
    match emails {
        Cow::Borrowed(text) => mask_tokens(text),
        Cow::Owned(text) => Cow::Owned(mask_tokens(&text).into_owned()),
    }
}

/// Replaces e-mail addresses by `(email)`; the `@` may be encoded, as in a path encoded twice.
pub fn mask_emails(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'@' || b == b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut done = 0;
    let mut from = 0;
    while let Some((at, after)) = next_at(text, from) {
        from = after;
        let start = text[done..at]
            .char_indices()
            .rev()
            .take_while(|(_, c)| c.is_alphanumeric() || "._+-'!#$&*=^`{|}~".contains(*c))
            .last()
            .map(|(i, _)| done + i);
        let end = text[after..]
            .char_indices()
            .find(|(_, c)| !(c.is_alphanumeric() || *c == '.' || *c == '-'))
            .map_or(text.len(), |(i, _)| after + i);
        let end = after + text[after..end].trim_end_matches(['.', '-']).len();
        if let Some(start) = start
            && is_mail_domain(&text[after..end])
        {
            out.push_str(&text[done..start]);
            out.push_str("(email)");
            done = end;
            from = end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Where the next `@`, or `%40`, begins and ends.
fn next_at(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = &text.as_bytes()[from..];
    let at = (0..rest.len()).find(|&i| rest[i] == b'@' || rest[i..].starts_with(b"%40"))?;
    Some((from + at, from + at + if rest[at] == b'@' { 1 } else { 3 }))
}

/// Two labels at least, the last of two letters or more: `18.2.0`, as after `react@`, is none.
fn is_mail_domain(domain: &str) -> bool {
    domain.rsplit_once('.').is_some_and(|(before, last)| {
        !before.is_empty() && last.chars().count() >= 2 && last.chars().all(char::is_alphabetic)
    })
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

const MIN_TOKEN: usize = 20;

fn mask_tokens(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut done = 0;
    let mut i = 0;
    while i < bytes.len() {
        if !is_token_byte(bytes[i]) {
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && is_token_byte(bytes[i]) {
            i += 1;
        }
        if i - start >= MIN_TOKEN && is_token(&bytes[start..i]) {
            out.push_str(&text[done..start]);
            out.push_str("(token)");
            done = i;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

fn is_token(run: &[u8]) -> bool {
    let mut changes = 0;
    for pair in run.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let both = a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric();
        let digit = a.is_ascii_digit() != b.is_ascii_digit();
        let case = a.is_ascii_lowercase() && b.is_ascii_uppercase();
        changes += usize::from(both && (digit || case));
    }
    let words = || run.split(|b| !b.is_ascii_alphanumeric());
    let longest = words().map(<[u8]>::len).max().unwrap_or(0);
    let long_hex = words().any(|word| word.len() >= 32 && word.iter().all(u8::is_ascii_hexdigit));
    let uuid = run.len() == 36
        && words().map(<[u8]>::len).eq([8, 4, 4, 4, 12])
        && words().flatten().all(u8::is_ascii_hexdigit);
    uuid || long_hex || longest >= 48 || (longest >= 10 && changes * 5 >= run.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_has_parts() {
        let table = [
            ("https://user:pw@www.Example.com:8080/a/b?c=d#e", "https www.Example.com /a/b c=d e"),
            ("https://example.com", "https example.com   "),
            ("//example.com/a", " example.com /a  "),
            ("/a?b#c", "  /a b c"),
            ("a/b", "  a/b  "),
            ("https://example.com?a=/b#c?d", "https example.com  a=/b c?d"),
            ("http://[2001:db8::1]:80/x", "http [2001:db8::1] /x  "),
            ("https://evil.com\\@good.com/", "https evil.com \\@good.com/  "),
            ("mailto:a@b.c", "mailto  a@b.c  "),
            ("app://localhost/login", "app localhost /login  "),
            ("1http://x", "  1http://x  "),
            ("/a:b", "  /a:b  "),
            ("", "    "),
        ];
        for (url, expected) in table {
            let p = parts(url);
            assert_eq!(
                format!("{} {} {} {} {}", p.scheme, p.host, p.path, p.query, p.fragment),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn a_page_is_the_path() {
        let table = [
            ("https://e.com", "/"),
            ("https://e.com/", "/"),
            ("https://e.com/A//b/", "/A//b/"),
            ("https://e.com/a%20b%C3%BC  ", "/a bü"),
            ("https://e.com/a%20", "/a"),
            ("https://e.com/a%FFb", "/a%FFb"),
            ("https://e.com/100%", "/100%"),
            ("https://e.com/a?email=x@y.de&utm_source=z#part", "/a"),
            ("about", "/about"),
            ("https://e.com/a%00b%0Ac", "/a b c"),
        ];
        for (url, expected) in table {
            assert_eq!(page(&parts(url), false, &[]), expected, "{url}");
        }
        let keep = [Text::from("q"), Text::from("page")];
        let table = [
            ("/s?page=2&x=1&q=caf%C3%A9+au", false, "/s?q=café au&page=2"),
            ("/s?q=me%40home.org", false, "/s?q=(email)"),
            ("/#/inbox/7?token=abc", true, "/#/inbox/7"),
            ("/#access_token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9&state=1", true, "/#access_token=(token)"),
            ("/#x", false, "/"),
        ];
        for (url, hash_mode, expected) in table {
            assert_eq!(page(&parts(url), hash_mode, &keep), expected, "{url}");
        }
    }

    #[test]
    fn addresses_and_tokens_are_masked() {
        let table = [
            ("/u/jane.doe+x@mail.example.org/edit", "/u/(email)/edit"),
            ("/u/jane%40example.org", "/u/(email)"),
            ("/a@b.de/c@d.fr", "/(email)/(email)"),
            ("/mailto:jane@example.org.", "/mailto:(email)."),
            ("/@jane/post", "/@jane/post"),
            ("/npm/react@18.2.0/umd", "/npm/react@18.2.0/umd"),
            ("/müller@bücher.example", "/(email)"),
            ("/reset/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/reset/(token)"),
            ("/f/e3b0c44298fc1c149afbf4c8996fb92427ae41e4", "/f/(token)"),
            ("/i/aB3xYz9_Qw7Lk2-Mn5Rt8", "/i/aB3xYz9_Qw7Lk2-Mn5Rt8"),
            ("/i/aB3xYz9Qw7Lk2Mn5Rt8u", "/i/(token)"),
            ("/j/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "/j/(token).(token)"),
            ("/s;jsessionid=1A530637289A03B07199A44E8D531427", "/s;jsessionid=(token)"),
            (
                "/blog/how-to-build-a-web-analytics-engine-in-rust-2024",
                "/blog/how-to-build-a-web-analytics-engine-in-rust-2024",
            ),
            ("/wiki/MyVeryLongCamelCaseDocumentName", "/wiki/MyVeryLongCamelCaseDocumentName"),
            ("/p/iphone15promax256gbblack", "/p/iphone15promax256gbblack"),
            ("/status/1234567890123456789", "/status/1234567890123456789"),
            ("/Rust-1-90-Released-What-Is-New-In-2025", "/Rust-1-90-Released-What-Is-New-In-2025"),
        ];
        for (path, expected) in table {
            assert_eq!(mask(path), expected, "{path}");
        }
    }

    #[test]
    fn hosts_are_compared_without_www() {
        for (host, expected) in
            [("WWW.Example.COM.", "example.com"), ("www.", "www"), ("wwwx.de", "wwwx.de"), ("a", "a")]
        {
            assert_eq!(hostname(host), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_pages_begin_with_a_slash(url in ".{0,60}", hash in any::<bool>()) {
            let parts = parts(&url);
            let page = page(&parts, hash, &[Text::from("a")]);
            prop_assert!(page.starts_with('/') && page.len() <= MAX_PAGE);
            prop_assert!(!page.bytes().any(|b| b < b' '));
            let _ = hostname(parts.host);
        }

        #[test]
        fn urls_of_difficult_characters(url in "[a-z:/?#@%\\[\\]\\\\.&=+ 0-9A-Fü-]{0,50}") {
            let page = page(&parts(&url), true, &[Text::from("a")]);
            prop_assert!(page.starts_with('/'));
        }

        #[test]
        fn no_address_survives(local in "[a-z0-9.+_-]{1,12}", host in "[a-z0-9]{1,9}\\.(com|museum|de)", enc in any::<bool>()) {
            let url = format!("https://e.com/x/{local}{}{host}/y?z", if enc { "%40" } else { "@" });
            let page = page(&parts(&url), false, &[]);
            prop_assert!(!page.contains(&host), "{page}");
        }

        #[test]
        fn random_tokens_are_masked(token in "[A-Za-z0-9]{32,40}") {
            // Long runs of one kind do occur, rarely; the table above shows where the line is.
            let changes = token.as_bytes().windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
            prop_assume!(changes >= 8);
            let path = format!("/r/{token}");
            prop_assert_eq!(mask(&path), "/r/(token)");
        }
    }
}
