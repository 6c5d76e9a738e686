//! One line of a web server's access log: common or combined format, as Apache, nginx, Caddy and lighttpd
//! write it. Pure: bytes in, a request or a named refusal out.
//!
//! ```text
//! 192.0.2.7 - alice [17/May/2015:10:05:03 +0000] "GET /path HTTP/1.1" 200 2048 "https://from.example/" "Agent/1"
//! address ident user time                        request              status bytes referrer            agent
//! ```
//!
//! The last two fields are the combined format's; what follows them (a forwarded address, a duration) is not
//! read. Within quotes a backslash escapes, as servers write it: `\"`, `\\`, `\x41`. The user may hold spaces
//! and brackets, so that the time is found by what follows it: `] "`.

use jiff::civil::DateTime;
use std::borrow::Cow;
use std::net::IpAddr;

/// One request, as far as it matters. Holds an address and an agent: it lives as long as its line.
#[derive(PartialEq)]
pub struct Request<'a> {
    pub address: IpAddr,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub method: &'a [u8],
    /// What was asked for: path and query. Bytes that are no UTF-8 are replaced.
    pub target: Cow<'a, str>,
    pub status: u16,
    /// Empty for none.
    pub referrer: Cow<'a, str>,
    /// Empty for none.
    pub agent: Cow<'a, str>,
}

/// Why a line could not be read. The first that applies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    Empty,
    TooLong,
    /// The line begins with the name of a virtual host, as in `vhost_combined`: whose line it is would be a guess.
    VirtualHost,
    /// The line does not begin with an address. A server that looks names up writes names; they are not visitors.
    NoAddress,
    NoTime,
    /// A time that cannot be: 31 February, hour 25.
    BadTime,
    /// No request in quotes, or not one of HTTP: what scanners send, and connections that sent nothing.
    NoRequest,
    NoStatus,
    /// The line ends within the request.
    CutOff,
}

impl Refusal {
    pub const ALL: [Refusal; 9] = [
        Refusal::Empty,
        Refusal::TooLong,
        Refusal::VirtualHost,
        Refusal::NoAddress,
        Refusal::NoTime,
        Refusal::BadTime,
        Refusal::NoRequest,
        Refusal::NoStatus,
        Refusal::CutOff,
    ];

    /// The name in summaries and in the import's entry.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Empty => "empty",
            Refusal::TooLong => "too_long",
            Refusal::VirtualHost => "virtual_host",
            Refusal::NoAddress => "no_address",
            Refusal::NoTime => "no_time",
            Refusal::BadTime => "bad_time",
            Refusal::NoRequest => "no_request",
            Refusal::NoStatus => "no_status",
            Refusal::CutOff => "cut_off",
        }
    }
}

/// Reads one line, without its end.
pub fn parse(line: &[u8]) -> Result<Request<'_>, Refusal> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Err(Refusal::Empty);
    }
    let (first, rest) = word(line);
    let address = address(first).ok_or_else(|| match address(word(rest).0) {
        Some(_) => Refusal::VirtualHost,
        None => Refusal::NoAddress,
    })?;
    let (at_ms, rest) = time(rest)?;
    let (request, rest) = quoted(rest).ok_or(Refusal::CutOff)?;
    let (method, target) = request_line(request).ok_or(Refusal::NoRequest)?;
    let (status, rest) = word(rest);
    let status = number(status, 3, 3).filter(|n| (100..=599).contains(n)).ok_or(Refusal::NoStatus)?;
    // How many bytes, or `-`.
    let (_, rest) = word(rest);
    // A line may end anywhere from here on: the request is known, and what is left of a field is taken for it.
    let (referrer, rest) = match rest.trim_ascii_start() {
        rest @ [b'"', cut_off @ ..] => quoted(rest).unwrap_or((cut_off, b"")),
        _ => (&b""[..], &b""[..]),
    };
    let agent = match rest.trim_ascii_start() {
        rest @ [b'"', cut_off @ ..] => quoted(rest).map_or(cut_off, |(agent, _)| agent),
        _ => b"",
    };
    Ok(Request {
        address,
        at_ms,
        method,
        target: text(target),
        status: status as u16,
        referrer: text(none_if_dash(referrer)),
        agent: text(none_if_dash(agent)),
    })
}

/// What is fetched to show a page or to save it, but is no page: no page view. By the last extension of the
/// path's last part, whatever its case.
#[rustfmt::skip]
pub const ASSETS: [&str; 91] = [
    // What pages are made of.
    "css", "xsl", "js", "mjs", "cjs", "map", "wasm", "json", "jsonld", "webmanifest", "manifest", "htc",
    // Pictures and fonts.
    "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "svgz", "ico", "cur", "bmp", "tif", "tiff", "heic", "jxl",
    "woff", "woff2", "ttf", "otf", "eot",
    // Sound and film.
    "mp3", "m4a", "ogg", "oga", "opus", "wav", "flac", "aac", "mp4", "m4v", "webm", "ogv", "mov", "avi", "mkv", "mpg",
    "mpeg", "m3u8", "ts", "vtt", "swf",
    // Downloads.
    "zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "tar", "jar", "exe", "msi", "dmg", "pkg", "deb", "rpm", "apk",
    "iso", "bin", "pdf", "epub", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp",
    // For machines: robots.txt, security.txt, sitemaps, feeds.
    "txt", "xml", "rss", "atom", "rdf", "csv", "ics", "asc",
];

/// Why a request is not a page view. The first that applies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NoView {
    /// Another method than GET.
    Method,
    /// Answered with anything but 2xx or 304: errors, redirections.
    Status,
    /// Its path has an extension of [`ASSETS`].
    Asset,
}

impl NoView {
    pub const ALL: [NoView; 3] = [NoView::Method, NoView::Status, NoView::Asset];

    pub fn name(self) -> &'static str {
        match self {
            NoView::Method => "not_get",
            NoView::Status => "not_answered",
            NoView::Asset => "asset",
        }
    }
}

/// The page that was viewed, path and query, or why it was no page view.
pub fn page_view<'a>(request: &'a Request) -> Result<&'a str, NoView> {
    if request.method != b"GET" {
        return Err(NoView::Method);
    }
    if !matches!(request.status, 200..=299 | 304) {
        return Err(NoView::Status);
    }
    let target = origin_form(&request.target);
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension.is_some_and(|it| ASSETS.iter().any(|asset| asset.eq_ignore_ascii_case(it))) {
        true => Err(NoView::Asset),
        false => Ok(target),
    }
}

/// The path and query of a target, which a proxy's log may hold as a whole address.
fn origin_form(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return target;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// The next word, and what follows it.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = bytes.trim_ascii_start();
    bytes.split_at(bytes.iter().position(|&b| b == b' ' || b == b'\t').unwrap_or(bytes.len()))
}

fn address(word: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(word).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// The time in brackets and what follows it, from the request's quote on.
fn time(bytes: &[u8]) -> Result<(i64, &[u8]), Refusal> {
    const FORM: usize = "[17/May/2015:10:05:03 +0000]".len();
    let end = bytes.windows(3).position(|three| three == b"] \"").ok_or(Refusal::NoTime)? + 1;
    let bracketed = end.checked_sub(FORM).map(|start| &bytes[start..end]);
    let inner = bracketed.and_then(|it| it.strip_prefix(b"[")?.strip_suffix(b"]")).ok_or(Refusal::NoTime)?;
    let at_ms = unix_ms(inner).ok_or(Refusal::BadTime)?;
    Ok((at_ms, &bytes[end..]))
}

/// `17/May/2015:10:05:03 +0000` in Unix milliseconds.
fn unix_ms(text: &[u8]) -> Option<i64> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let text: &[u8; 26] = text.try_into().ok()?;
    let marks = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if marks.iter().any(|&(at, mark)| text[at] != mark) {
        return None;
    }
    let two = |at: usize| number(&text[at..at + 2], 2, 2);
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(&text[3..6]))? + 1;
    let year = number(&text[7..11], 4, 4)?;
    // A leap second is the second before.
    let second = two(18)?.min(59);
    let [day, hour, minute] = [two(0)?, two(12)?, two(15)?].map(|n| n as i8);
    let local = DateTime::new(year as i16, month as i8, day, hour, minute, second as i8, 0).ok()?;
    let east = match text[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let offset_s = east * (two(22)? * 3_600 + two(24)? * 60) as i32;
    let offset = jiff::tz::Offset::from_seconds(offset_s).ok()?;
    Some(offset.to_timestamp(local).ok()?.as_millisecond())
}

/// What stands in quotes at the beginning, still escaped, and what follows the closing quote.
fn quoted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.trim_ascii_start().strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = inner.iter().position(|&b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// `GET /path HTTP/1.1`: method and target. A target may hold spaces; HTTP/0.9 has no version.
fn request_line(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let (method, rest) = word(request);
    let is_method =
        (1..=20).contains(&method.len()) && method.iter().all(|b| b.is_ascii_uppercase() || *b == b'-');
    let rest = rest.trim_ascii();
    let version = rest.windows(6).rposition(|six| six == b" HTTP/");
    let target = version.map_or(rest, |at| rest[..at].trim_ascii());
    (is_method && method != b"-" && !target.is_empty()).then_some((method, target))
}

fn none_if_dash(field: &[u8]) -> &[u8] {
    if field == b"-" { b"" } else { field }
}

/// A field without its escapes.
fn text(field: &[u8]) -> Cow<'_, str> {
    if !field.contains(&b'\\') {
        return String::from_utf8_lossy(field);
    }
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high << 4 | low, after),
                None => (b'\\', &rest[1..]),
            },
            (b'\\', [quote @ (b'"' | b'\\'), after @ ..]) => (*quote, after),
            _ => (*first, after),
        };
        plain.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// A number of so many digits.
fn number(digits: &[u8], min: usize, max: usize) -> Option<u32> {
    let fits = (min..=max).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests;
