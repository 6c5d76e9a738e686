//! `POST /api/track` and `POST /api/event`: from a request to a receipt.
//!
//! | status | when |
//! | --- | --- |
//! | 202 | what could be counted is in the store; what could not is listed by index and reason |
//! | 204 | the answer to a preflight |
//! | 400 | nothing of it can be read, or the site is not here; names the reason |
//! | 405, 413, 415 | another method; more than 64 KiB; a content encoding |
//! | 429 | a flood from one address: see flood.rs |
//! | 503 | the store does not take it now: keep the batch and send it again, under the same id |
//!
//! Any origin may send and may read the answer, without credentials. A status is decided as early as it can
//! be: a length before the body is read, a body before anybody asks who sent it.

use super::peer::Sender;
use crate::app::App;
use crate::sites::Site;
use crate::store;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use passerby_engine::block::Dropped;
use passerby_engine::enrich::{self, Enriched};
use passerby_engine::event::Reason;
use passerby_engine::receive::{self, Hits, MAX_BODY, PlausibleRefusal};
use passerby_engine::time;
use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Which of the two addresses is spoken to: they differ in how they read and how they answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/api/track`: our batch, or a bare array of events.
    Track,
    /// `/api/event`: Plausible's event.
    Plausible,
}

impl Form {
    pub fn of_path(path: &str) -> Option<Form> {
        match path {
            "/api/track" => Some(Form::Track),
            "/api/event" => Some(Form::Plausible),
            _ => None,
        }
    }
}

/// What became of a request that was taken.
struct Receipt {
    /// How many events are in the store.
    kept: usize,
    /// What was not counted, by index in the request.
    dropped: Vec<(u32, Reason)>,
    /// For how many of the sites it named nothing was counted.
    sites_dropped: usize,
}

/// Why a request was not taken.
enum Refusal {
    Method,
    Encoding,
    TooLarge,
    /// Too many from one address; seconds until its next may come.
    Flood(u32),
    /// The body ended before its time.
    Broken,
    /// Nothing of it can be counted.
    Track(Reason),
    Plausible(PlausibleRefusal),
    /// The store's word is for the log alone.
    Unavailable(store::Error),
}

/// The whole path: a batch is refused, or durable when this returns.
async fn take(app: &App, form: Form, head: Parts, body: &[u8], peer: SocketAddr) -> Result<Receipt, Refusal> {
    let now_ms = app.now_ms();
    let hits = read_hits(form, &head, body, now_ms)?; // bytes -> hits, or why not
    let sites = find_sites(app, form, &hits, now_ms).await?; // load: settings
    let enriched = enrich_hits(app, &hits, &sites, &Sender::of(&app.web, peer, &head.headers), now_ms); // today's salts
    let receipt = receipt(&hits, &sites, &enriched);
    count_drops(app, &hits, &sites, &enriched, now_ms);
    let batches = enriched.into_iter().flat_map(|of_site| of_site.batches).collect();
    drop((head, hits, sites)); // the address and the agent end here; nothing but the batches waits
    app.committer.append(batches).await.map_err(Refusal::Unavailable)?; // joins the next flush; back when durable
    Ok(receipt) // only now do we say yes
}

fn read_hits(form: Form, head: &Parts, body: &[u8], now_ms: i64) -> Result<Hits, Refusal> {
    match form {
        Form::Track => receive::batch(body, fallback_site(head), now_ms).map_err(Refusal::Track),
        Form::Plausible => receive::plausible(body).map_err(Refusal::Plausible),
    }
}

/// The site of a bare array that names none: `?site=` of the address, else the host of the page that sent it.
fn fallback_site(head: &Parts) -> Option<&str> {
    let asked = head.uri.query().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("site="));
    let origin = || head.headers.get(header::ORIGIN)?.to_str().ok()?.split_once("://");
    asked.or_else(|| {
        let (_, host) = origin()?;
        let host = host.split(':').next()?;
        Some(host.strip_prefix("www.").unwrap_or(host))
    })
}

/// The sites that a request is for, and that are here. Our own form names one, which must be; Plausible's may
/// name several, and those that are not here are dropped by themselves.
async fn find_sites(app: &App, form: Form, hits: &Hits, now_ms: i64) -> Result<Vec<Arc<Site>>, Refusal> {
    let mut sites = Vec::with_capacity(hits.sites.len());
    for domain in &hits.sites {
        match app.sites.get(domain, now_ms).await.map_err(Refusal::Unavailable)? {
            Some(site) => sites.push(site),
            None if form == Form::Track => return Err(Refusal::Track(Reason::UnknownSite)),
            None => {}
        }
    }
    Ok(sites)
}

/// What each site makes of the hits.
fn enrich_hits(app: &App, hits: &Hits, sites: &[Arc<Site>], sender: &Sender, now_ms: i64) -> Vec<Enriched> {
    let peer = sender.as_peer();
    let tables = app.tables();
    let key = app.batch_key();
    let mut enriched = Vec::with_capacity(sites.len());
    for site in sites {
        let rules = site.rules(now_ms);
        let salts = app.salts.for_site(site.id, &rules.zone, now_ms);
        enriched.push(enrich::events(hits, rules, &salts, &peer, &tables, now_ms, &key));
    }
    enriched
}

fn receipt(hits: &Hits, sites: &[Arc<Site>], enriched: &[Enriched]) -> Receipt {
    let kept = |of_site: &Enriched| of_site.batches.iter().map(|batch| batch.events.len()).sum::<usize>();
    let dropped_later = enriched.iter().flat_map(|of_site| &of_site.dropped);
    let mut dropped: Vec<_> = hits.dropped.iter().chain(dropped_later).copied().collect();
    dropped.sort_by_key(|(index, _)| *index);
    let of_none = enriched.iter().filter(|of_site| of_site.batches.is_empty()).count();
    Receipt {
        kept: enriched.iter().map(kept).sum(),
        dropped,
        sites_dropped: hits.sites.len() - sites.len() + of_none,
    }
}

/// Counts what was not counted, where the sites' owners can see it.
fn count_drops(app: &App, hits: &Hits, sites: &[Arc<Site>], enriched: &[Enriched], now_ms: i64) {
    for (site, of_site) in sites.iter().zip(enriched) {
        if hits.dropped.is_empty() && of_site.dropped.is_empty() {
            continue;
        }
        let day = time::local(&site.rules(now_ms).zone, now_ms).day;
        for reason in Reason::ALL {
            let here = hits.dropped.iter().chain(&of_site.dropped).filter(|(_, why)| *why == reason).count();
            if let Ok(count @ 1..) = u32::try_from(here) {
                app.committer.dropped(Dropped { site: site.id, day, reason, count });
            }
        }
    }
}

/// Answers a request. `body_is_read` is called when it has come in whole.
pub async fn collect<B>(
    app: &App,
    form: Form,
    request: hyper::Request<B>,
    peer: SocketAddr,
    body_is_read: impl FnOnce(),
) -> hyper::Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
{
    if *request.method() == Method::OPTIONS {
        return preflight();
    }
    let taken = async {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::Encoding);
        }
        let client = app.web.client(peer, &head.headers);
        app.flood.admit(client, app.now_ms()).map_err(Refusal::Flood)?;
        let body = read_body(body).await?;
        body_is_read();
        take(app, form, head, &body, peer).await
    };
    match (taken.await, form) {
        (Ok(receipt), Form::Track) => answer(StatusCode::ACCEPTED, JSON, receipt.to_json()),
        (Ok(receipt), Form::Plausible) => {
            let mut response = answer(StatusCode::ACCEPTED, TEXT, Bytes::from_static(b"ok"));
            if receipt.sites_dropped > 0 {
                response.headers_mut().insert(PLAUSIBLE_DROPPED, receipt.sites_dropped.into());
            }
            response
        }
        (Err(refusal), _) => {
            if let Refusal::Unavailable(error) = &refusal {
                let line = format!("batches are not taken: {error}");
                app.complaints.log(&line, app.now_ms());
            }
            refusal.answer()
        }
    }
}

/// The same for an application that mounts our router.
pub async fn track(
    app: State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    request: Request,
) -> axum::response::Response {
    collect(&app, Form::Track, request, peer.0, || ()).await.map(axum::body::Body::new)
}

/// The same for Plausible's event.
pub async fn event(
    app: State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    request: Request,
) -> axum::response::Response {
    collect(&app, Form::Plausible, request, peer.0, || ()).await.map(axum::body::Body::new)
}

/// A body that has been read. In one piece it lies in the connection's buffer, which is not ours; in several,
/// in one of our own, which is overwritten.
enum Whole {
    Piece(Bytes),
    Pieces(Zeroizing<Vec<u8>>),
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Whole::Piece(bytes) => bytes,
            Whole::Pieces(bytes) => bytes,
        }
    }
}

async fn read_body<B: Body<Data = Bytes>>(body: B) -> Result<Whole, Refusal> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Refusal::TooLarge);
    }
    let mut body = pin!(body);
    let mut whole = Whole::Piece(Bytes::new());
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Refusal::Broken)?.into_data() else {
            continue;
        };
        if whole.len() + piece.len() > MAX_BODY {
            return Err(Refusal::TooLarge);
        }
        whole = match whole {
            Whole::Piece(first) if first.is_empty() => Whole::Piece(piece),
            Whole::Piece(first) => {
                // Room for all there may be, so that growing leaves no copies behind.
                let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BODY));
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&piece);
                Whole::Pieces(bytes)
            }
            Whole::Pieces(mut bytes) => {
                bytes.extend_from_slice(&piece);
                Whole::Pieces(bytes)
            }
        };
    }
    Ok(whole)
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PLAUSIBLE_DROPPED: HeaderName = HeaderName::from_static("x-plausible-dropped");

/// Seconds after which a batch that was not taken is worth sending again.
const RETRY_AFTER_S: u32 = 5;

impl Receipt {
    fn to_json(&self) -> Bytes {
        if self.kept == 1 && self.dropped.is_empty() {
            // Nearly all answers.
            return Bytes::from_static(br#"{"accepted":1,"dropped":[]}"#);
        }
        let mut json = format!(r#"{{"accepted":{},"dropped":["#, self.kept);
        for (i, (index, reason)) in self.dropped.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            // Writing into a String cannot fail.
            let _ = write!(json, r#"{comma}{{"index":{index},"reason":"{}"}}"#, reason.name());
        }
        json.push_str("]}");
        json.into()
    }
}

impl Refusal {
    fn answer(self) -> hyper::Response<Full<Bytes>> {
        let fixed = |status, body: &'static str| answer(status, JSON, Bytes::from_static(body.as_bytes()));
        match self {
            Refusal::Method => {
                let mut response = fixed(StatusCode::METHOD_NOT_ALLOWED, r#"{"error":"send it with POST"}"#);
                response.headers_mut().insert(header::ALLOW, ALLOWED);
                response
            }
            Refusal::Encoding => {
                fixed(StatusCode::UNSUPPORTED_MEDIA_TYPE, r#"{"error":"send it without a content encoding"}"#)
            }
            Refusal::TooLarge => fixed(StatusCode::PAYLOAD_TOO_LARGE, r#"{"error":"more than 64 KiB"}"#),
            Refusal::Broken => fixed(StatusCode::BAD_REQUEST, r#"{"accepted":0,"reason":"malformed"}"#),
            Refusal::Track(reason) => answer(
                StatusCode::BAD_REQUEST,
                JSON,
                format!(r#"{{"accepted":0,"reason":"{}"}}"#, reason.name()).into(),
            ),
            Refusal::Plausible(refusal) => {
                let (field, message) = refusal.field_and_message();
                answer(
                    StatusCode::BAD_REQUEST,
                    JSON,
                    serde_json::json!({"errors": {field: [message]}}).to_string().into(),
                )
            }
            Refusal::Flood(seconds) => {
                let mut response = fixed(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"too many requests"}"#);
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
            Refusal::Unavailable(_) => {
                let mut response = fixed(
                    StatusCode::SERVICE_UNAVAILABLE,
                    r#"{"error":"not now; keep it and send it again"}"#,
                );
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
                // Without it a script of another origin could not read the one above.
                headers.insert(
                    header::ACCESS_CONTROL_EXPOSE_HEADERS,
                    const { HeaderValue::from_static("retry-after") },
                );
                response
            }
        }
    }
}

const ALLOWED: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const ANY: HeaderValue = HeaderValue::from_static("*");

fn answer(status: StatusCode, content_type: HeaderValue, body: Bytes) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    response
}

fn preflight() -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED);
    headers
        .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, const { HeaderValue::from_static("content-type, *") });
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, const { HeaderValue::from_static("86400") });
    response
}
