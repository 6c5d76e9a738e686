//! The pages as a browser meets them: the router over a store that holds two months of invented days.

use super::gallery::{self, Data, NOW_MS};
use super::{WebConfig, router};
use crate::app::{App, Parts};
use crate::salts::Salts;
use crate::store::{LIVE, Put};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use passerby_engine::event::Text;
use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use tower_service::Service;
use zeroize::Zeroizing;

/// A server over a store in a folder of its own.
struct Server {
    _folder: tempfile::TempDir,
    app: Arc<App>,
    router: Router,
}

/// What came back: status, headers, text.
struct Got {
    status: StatusCode,
    head: Response<()>,
    text: String,
}

impl Got {
    fn header(&self, name: header::HeaderName) -> &str {
        self.head.headers().get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl Server {
    // The settings grow; these tests mean one of them.
    #[allow(clippy::needless_update)]
    async fn open(public: bool) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let store =
            crate::store::open(&format!("sqlite:{}/store.db", folder.path().display())).expect("a store");
        let parts = Parts {
            store,
            salts: Salts::open(folder.path(), &[], || true),
            clock: Arc::new(|| NOW_MS),
            web: WebConfig { public, ..WebConfig::default() },
            geo: None,
            password: Some(Zeroizing::new("open sesame".to_string())),
        };
        let app = Arc::new(App::open(parts).await.expect("an app"));
        Server { router: router(app.clone()), app, _folder: folder }
    }

    /// Adds a site in Berlin with stored days.
    async fn site(&self, domain: &str, data: Data) {
        self.app.sites.add(&Text::new(domain), Some("Europe/Berlin"), 0).await.expect("a site");
        let site = self.app.sites.get(domain, NOW_MS).await.expect("readable").expect("there").id;
        let put = |(day, dim, rollup): (_, _, passerby_engine::rollup::Rollup)| Put::Rollup {
            site,
            unit: LIVE,
            day,
            dim,
            bytes: Some(rollup.encode()),
        };
        self.app.store.checkpoint(0, 0, data.into_iter().map(put).collect()).await.expect("stored");
    }

    async fn ask(&self, request: axum::http::request::Builder, body: &'static str) -> Got {
        let mut request = request.body(Body::from(body)).expect("a request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 40_000))));
        let response = self.router.clone().call(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let mut text = String::new();
        if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") {
            GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
        } else {
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        Got { status: parts.status, head: Response::from_parts(parts, ()), text }
    }

    async fn get(&self, path: &str) -> Got {
        self.ask(
            Request::get(path)
                .header(header::HOST, "stats.example.com")
                .header(header::ACCEPT_ENCODING, "gzip"),
            "",
        )
        .await
    }

    async fn sign_in(&self, password: &'static str) -> Got {
        let form =
            Request::builder().method(Method::POST).uri("/sign-in").header("sec-fetch-site", "same-origin");
        self.ask(form.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"), password).await
    }
}

/// The addresses of a page's links, forms, sheets and scripts.
fn addresses(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for attribute in [" href=\"", " src=\"", " action=\""] {
        for (at, _) in page.match_indices(attribute) {
            let value = &page[at + attribute.len()..];
            let value = value[..value.find('"').expect("it ends")]
                .split('#')
                .next()
                .unwrap_or("")
                .replace("&amp;", "&");
            found.insert(value);
        }
    }
    found
}

#[tokio::test]
async fn every_link_on_every_page_leads_somewhere() {
    let server = Server::open(true).await;
    server.site("northlight.example", gallery::lively()).await;
    server.site("quiet.example", Data::new()).await;
    let mut seen = BTreeSet::new();
    let mut ahead = vec!["/".to_string()];
    // Periods multiply without an end: so many pages are enough to have seen each kind of link.
    while let Some(address) = ahead.pop() {
        if seen.len() >= 150 || !seen.insert(address.clone()) {
            continue;
        }
        let got = server.get(&address).await;
        assert_eq!(got.status, StatusCode::OK, "{address}");
        if got.header(header::CONTENT_TYPE).starts_with("text/html") {
            let links =
                addresses(&got.text).into_iter().filter(|link| link.starts_with('/') && !seen.contains(link));
            // First what is of a new kind: shorter addresses.
            ahead.extend(links);
            ahead.sort_by_key(|link| std::cmp::Reverse(link.len()));
        }
    }
    for expected in [
        "/sign-in",
        "/northlight.example",
        "/northlight.example/entry-pages",
        "/quiet.example",
        "/northlight.example?period=all",
    ] {
        assert!(seen.contains(expected), "{expected} was not met");
    }
}

#[tokio::test]
async fn pages_are_guarded_and_not_kept() {
    let server = Server::open(true).await;
    server.site("northlight.example", gallery::lonely()).await;
    for path in ["/", "/northlight.example", "/northlight.example/pages", "/sign-in", "/nowhere.example"] {
        let got = server.get(path).await;
        assert_eq!(got.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert!(got.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"), "{path}");
        assert_eq!(got.header(header::CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
    }
    let sheet = server.get(super::assets::style().path()).await;
    assert_eq!(
        (sheet.status, sheet.header(header::CACHE_CONTROL)),
        (StatusCode::OK, "public, max-age=31536000, immutable")
    );
    assert_eq!(server.get("/_/passerby-0.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_one_may_not_see_looks_like_what_is_not_there() {
    let server = Server::open(false).await;
    server.site("northlight.example", gallery::lonely()).await;
    for suffix in ["", "/pages", "/first", "?period=today", "/nonsense"] {
        let hidden = server.get(&format!("/northlight.example{suffix}")).await;
        let absent = server.get(&format!("/nowhere.example{suffix}")).await;
        assert_eq!((hidden.status, &hidden.text), (StatusCode::NOT_FOUND, &absent.text), "{suffix}");
        assert_eq!(hidden.status, absent.status);
    }
    let home = server.get("/").await;
    assert_eq!((home.status, home.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/sign-in"));
}

#[tokio::test]
async fn the_right_password_opens_and_wrong_ones_are_told_and_slowed() {
    let server = Server::open(false).await;
    server.site("northlight.example", gallery::lonely()).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let got = server.sign_in("password=open+barley").await;
        assert!(
            got.text.contains("That is not the password")
                || got.text.contains("Too many tries. Wait 1 second"),
            "{}",
            got.text
        );
        statuses.push(got.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);

    let server = Server::open(false).await;
    server.site("northlight.example", gallery::lonely()).await;
    let right = server.sign_in("password=open+sesame").await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    let cookie = right.header(header::SET_COOKIE).split(';').next().unwrap_or("").to_string();
    let page =
        server.ask(Request::get("/northlight.example?period=today").header(header::COOKIE, cookie), "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Sign out"), "{}", page.text);
}

#[tokio::test]
async fn a_new_site_shows_its_line_and_waits() {
    let server = Server::open(true).await;
    server.site("quiet.example", Data::new()).await;
    let page = server.get("/quiet.example").await;
    let line = "&lt;script defer src=&quot;http://stats.example.com/p.js&quot; data-site=&quot;quiet.example&quot;&gt;&lt;/script&gt;";
    assert!(page.text.contains(line), "{}", page.text);
    assert!(page.text.contains(r#"data-poll="/quiet.example/first""#));
    assert!(page.text.contains(r#"<noscript><meta http-equiv="refresh" content="5"></noscript>"#));
    assert_eq!(server.get("/quiet.example/first").await.status, StatusCode::NO_CONTENT);

    server.site("lucky.example", gallery::lonely()).await;
    assert_eq!(server.get("/lucky.example/first").await.status, StatusCode::OK);
    assert!(server.get("/lucky.example").await.text.contains("id=\"figures\""));
}

#[tokio::test]
async fn a_strange_host_is_not_repeated() {
    let server = Server::open(true).await;
    server.site("quiet.example", Data::new()).await;
    let page = server.ask(Request::get("/quiet.example").header(header::HOST, "x\"><b>"), "").await;
    assert!(page.text.contains("http://localhost/p.js") && !page.text.contains("<b>"), "{}", page.text);
}

#[tokio::test]
async fn days_elsewhere_are_named_and_led_to() {
    let server = Server::open(true).await;
    let old = gallery::lonely()
        .into_iter()
        .map(|(day, dim, rollup)| (passerby_engine::event::Day(day.0 - 4_000), dim, rollup))
        .collect();
    server.site("old.example", old).await;
    let page = server.get("/old.example").await;
    assert!(page.text.contains("Nothing was counted in the last 30 days."), "{}", page.text);
    let link = addresses(&page.text)
        .into_iter()
        .find(|link| link.starts_with("/old.example?from=2015-12-11"))
        .expect("a way there");
    assert!(page.text.contains("See the one day with data, 11 Dec 2015"));
    assert!(server.get(&link).await.text.contains("class=\"fig\""));
}
