//! `/p.js`: the browser script.
//!
//! The same bytes for everybody: a validator that differed between visitors would be a way to tell them apart
//! (PRIVACY.md, clause 8). A browser keeps it for a day and then asks by its validator, so that a new version
//! reaches every page within a day.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::sync::LazyLock;

/// The script as it is sent: minified when the binary was built.
pub const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/p.js"));

/// The script, gzip. Compressed once, when first asked for.
pub static COMPRESSED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail; were it to, the plain script would be sent.
    let written = gzip.write_all(SCRIPT.as_bytes());
    written.and_then(|()| gzip.finish()).unwrap_or_default()
});

/// Its validators: what is sent compressed is another representation, and so has another.
static ETAGS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let digest = Sha256::digest(SCRIPT);
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    [format!("\"{hex}\""), format!("\"{hex}-gzip\"")]
});

/// Answers `GET /p.js`, compressed for who takes that.
pub async fn script(headers: HeaderMap) -> Response {
    let gzip = takes_gzip(&headers) && !COMPRESSED.is_empty();
    let etag = &ETAGS[usize::from(gzip)];
    let mut response = if has(&headers, etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if gzip {
        ([(header::CONTENT_ENCODING, "gzip")], COMPRESSED.as_slice()).into_response()
    } else {
        SCRIPT.into_response()
    };
    let fixed = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Any page may load it, also one that isolates itself or checks its integrity.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::ETAG, etag.as_str()),
    ];
    for (name, value) in fixed {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether `Accept-Encoding` allows gzip: named, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    items(headers, header::ACCEPT_ENCODING).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        named && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
}

/// Whether `If-None-Match` names this validator. A proxy may have weakened it on the way.
fn has(headers: &HeaderMap, etag: &str) -> bool {
    items(headers, header::IF_NONE_MATCH).any(|item| item == "*" || item.trim_start_matches("W/") == etag)
}

/// The items of a header that is a comma-separated list.
fn items(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn it_is_small_and_keeps_no_comment_and_no_long_name() {
        println!("p.js: {} bytes, {} compressed", SCRIPT.len(), COMPRESSED.len());
        assert!(COMPRESSED.len() < 1600, "{} bytes compressed", COMPRESSED.len());
        assert!(!SCRIPT.contains("//") && !SCRIPT.contains("_batch"), "{SCRIPT}");
        let mut plain = String::new();
        flate2::read::GzDecoder::new(COMPRESSED.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, SCRIPT);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn answers_by_what_was_asked() {
        let gzip_etag = ETAGS[1].clone();
        let weak = format!("W/{gzip_etag}");
        // Request headers; status and content encoding of the answer.
        type Row<'a> = (&'a [(header::HeaderName, &'a str)], u16, Option<&'a str>);
        let table: [Row; 8] = [
            (&[], 200, None),
            (&[(header::ACCEPT_ENCODING, "gzip, deflate, br")], 200, Some("gzip")),
            (&[(header::ACCEPT_ENCODING, "br;q=1, GZIP;q=0.5")], 200, Some("gzip")),
            (&[(header::ACCEPT_ENCODING, "gzip;q=0")], 200, None),
            (&[(header::ACCEPT_ENCODING, "xgzip")], 200, None),
            (&[(header::ACCEPT_ENCODING, "gzip"), (header::IF_NONE_MATCH, &gzip_etag)], 304, None),
            (&[(header::ACCEPT_ENCODING, "gzip"), (header::IF_NONE_MATCH, &weak)], 304, None),
            (&[(header::IF_NONE_MATCH, &gzip_etag)], 200, None),
        ];
        for (asked, status, encoding) in table {
            let headers = asked.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            let answer = script(headers).await;
            let got = answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!((answer.status().as_u16(), got), (status, encoding), "{asked:?}");
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
            assert_eq!(answer.headers()["cache-control"], "public, max-age=86400");
            assert!(!answer.headers().contains_key(header::SET_COOKIE));
        }
    }
}
