//! The sheet, the script and the icon of the pages: inside the binary, compressed once, and kept by browsers
//! for a year, since their address changes with their content.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::sync::LazyLock;

/// One file of the pages.
pub struct Asset {
    path: String,
    content_type: &'static str,
    plain: &'static [u8],
    gzip: Bytes,
}

impl Asset {
    fn new(name: &str, kind: &str, content_type: &'static str, plain: &'static [u8]) -> Asset {
        let hash = Sha256::digest(plain);
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset { path: format!("/_/{name}-{hash}.{kind}"), content_type, plain, gzip: gzip(plain).into() }
    }

    /// Where it is served: `/_/passerby-0123456789ab.css`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its size as sent to browsers that read gzip, bytes.
    pub fn sent_bytes(&self) -> usize {
        self.gzip.len()
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("passerby", "css", "text/css; charset=utf-8", include_bytes!("assets/passerby.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("passerby", "js", "text/javascript; charset=utf-8", include_bytes!("assets/passerby.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("passerby", "svg", "image/svg+xml", include_bytes!("assets/passerby.svg")));

pub fn style() -> &'static Asset {
    &STYLE
}

pub fn script() -> &'static Asset {
    &SCRIPT
}

pub fn icon() -> &'static Asset {
    &ICON
}

/// Answers for `/_/{file}`; None if there is no such file (one of an older version, for example).
pub fn serve(path: &str, headers: &HeaderMap) -> Option<Response> {
    let asset = [style(), script(), icon()].into_iter().find(|asset| asset.path == path)?;
    let squeezed = accepts_gzip(headers);
    let body = if squeezed { asset.gzip.clone() } else { Bytes::from_static(asset.plain) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::OK;
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if squeezed {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Some(response)
}

/// Whether a browser reads gzip (and has not put it at `q=0`).
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let mut part = part.split(';').map(str::trim);
        let named = part.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused =
            part.filter_map(|weight| weight.strip_prefix("q=")).any(|weight| weight.parse() == Ok(0.0));
        named && !refused
    })
}

/// Compresses once and for all, as small as it gets.
fn gzip(plain: &[u8]) -> Vec<u8> {
    squeeze(plain, Compression::best())
}

/// Compresses a page, fast.
pub fn gzip_page(page: &str) -> Vec<u8> {
    squeeze(page.as_bytes(), Compression::new(5))
}

fn squeeze(plain: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), level);
    // Writing to memory cannot fail.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn asking(encoding: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, encoding.parse().expect("a header"))])
    }

    #[test]
    fn an_asset_is_kept_for_ever_and_squeezed_for_who_reads_it() {
        for asset in [style(), script(), icon()] {
            for (encoding, squeezed) in
                [("gzip, br", true), ("br;q=1, GZIP;q=0.5", true), ("gzip;q=0", false), ("identity", false)]
            {
                let response = serve(asset.path(), &asking(encoding)).expect("it is there");
                assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
                assert_eq!(response.headers()[header::CONTENT_TYPE], asset.content_type);
                assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), squeezed, "{encoding}");
            }
            let mut plain = Vec::new();
            GzDecoder::new(&asset.gzip[..]).read_to_end(&mut plain).expect("gzip");
            assert_eq!(plain, asset.plain);
        }
        assert!(serve("/_/passerby-000000000000.css", &HeaderMap::new()).is_none());
        assert!(serve(style().path(), &HeaderMap::new()).is_some());
    }

    #[test]
    fn sheet_and_script_are_light() {
        let (style, script) = (style().sent_bytes(), script().sent_bytes());
        assert!(style + script < 30_000, "css {style} + js {script}");
    }

    #[test]
    fn the_sheet_and_the_script_load_nothing() {
        for asset in [style(), script()] {
            let text = String::from_utf8_lossy(asset.plain);
            for foreign in
                ["http:", "https:", "url(", "@import", "innerHTML", "localStorage", "document.cookie"]
            {
                assert!(!text.contains(foreign), "{foreign} in {}", asset.path());
            }
        }
    }
}
