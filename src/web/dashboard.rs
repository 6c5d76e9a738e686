//! The pages: load, decide, render. What a viewer may not see answers exactly as what is not there.

use super::assets;
use super::auth::{self, SameOrigin, SignInForm, SignInLink, Viewer};
use super::error::WebError;
use super::face::first::First;
use super::face::now::Now;
use super::face::shell::{Account, Shell};
use super::face::sign_in::{self, Said};
use super::face::sites::{SiteRow, Sites};
use super::face::{dates, trouble};
use super::lists;
use super::present::{self, Scene};
use super::view::{View, path};
use crate::app::App;
use crate::sites::{Site, normal_domain};
use axum::Form;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;
use passerby_engine::event::Day;
use passerby_engine::query::{Dimension, Interval, Metric, Query as Question};
use passerby_engine::rollup::Dim;
use passerby_engine::time;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

type Answer = Result<Response, WebError>;

/// The curves on the list of sites, days.
const CURVE_DAYS: i32 = 30;

/// The site menu names at most this many; the list of all has the rest.
const MENU_SITES: usize = 15;

/// A page, compressed if the browser reads that.
fn page(status: StatusCode, headers: &HeaderMap, page: Markup) -> Response {
    let page = page.into_string();
    let squeezed = assets::accepts_gzip(headers);
    let body = if squeezed { Body::from(assets::gzip_page(&page)) } else { Body::from(page) };
    let mut response = (status, body).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if squeezed {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Gives refusals of pages a page: the handlers' errors are plain text.
pub async fn trouble_as_page(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let shown = match status {
        StatusCode::NOT_FOUND => trouble::not_found(),
        StatusCode::SERVICE_UNAVAILABLE => trouble::unavailable(),
        StatusCode::FORBIDDEN => trouble::foreign(),
        status if status.is_server_error() => trouble::failed(),
        _ => trouble::refused(),
    };
    let retry = response.headers().get(header::RETRY_AFTER).cloned();
    let mut told = page(status, &headers, shown);
    if let Some(retry) = retry {
        told.headers_mut().insert(header::RETRY_AFTER, retry);
    }
    told
}

/// What is nowhere else.
pub async fn not_found() -> WebError {
    WebError::NotFound
}

/// `GET /_/{file}`: sheet, script, icon.
pub async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Answer {
    assets::serve(&format!("/_/{file}"), &headers).ok_or(WebError::NotFound)
}

/// `GET /`: the sites this viewer may see.
pub async fn sites(State(app): State<Arc<App>>, viewer: Viewer, headers: HeaderMap) -> Answer {
    let now_ms = app.now_ms();
    let seen = visible(&app, viewer, now_ms).await?;
    if seen.is_empty() && !viewer.may_see_all() {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let mut rows = Vec::with_capacity(seen.len());
    for site in &seen {
        rows.push(row(&app, site, now_ms).await?);
    }
    rows.sort_by(|a, b| b.week.cmp(&a.week).then_with(|| a.domain.cmp(&b.domain)));
    let mut now = Now::default();
    for here in seen.iter().map(|site| here(&app, site, now_ms)) {
        now.here += here.here;
        now.minutes.resize(here.minutes.len(), 0);
        now.minutes.iter_mut().zip(here.minutes).for_each(|(sum, n)| *sum += n);
    }
    let shell = Shell {
        title: "All sites".to_string(),
        here: "All sites".to_string(),
        refresh_s: Some(20),
        now: (!rows.is_empty()).then_some(now),
        ..shell(viewer, &seen, None)
    };
    let add = "passerby site add example.com --timezone Europe/Berlin".to_string();
    Ok(page(StatusCode::OK, &headers, Sites { shell, rows, add }.render()))
}

/// One line of the list of sites.
async fn row(app: &App, site: &Site, now_ms: i64) -> Result<SiteRow, WebError> {
    let zone = &site.rules(now_ms).zone;
    let today = time::local(zone, now_ms).day;
    let days = Day(today.0 - CURVE_DAYS + 1)..=today;
    let report = app.answers.report(site.id, &Question::series(Interval::Day, days, zone)).await?;
    let curve: Vec<i64> = report.series().iter().map(|(_, counts)| counts.visitors).collect();
    let of_last = |n: usize| curve.iter().rev().take(n).sum::<i64>();
    let remark = match report.rows.is_empty() {
        false => None,
        true => Some(match app.answers.bounds(site.id).await? {
            Some((_, last)) => format!("Nothing since {}", dates::whole(last)),
            None => "No visitor yet".to_string(),
        }),
    };
    Ok(SiteRow {
        domain: site.domain().to_string(),
        href: path(site.domain()),
        here: here(app, site, now_ms).here,
        today: of_last(1),
        yesterday: of_last(2) - of_last(1),
        week: of_last(7),
        curve: remark.is_none().then_some(curve),
        remark,
    })
}

fn here(app: &App, site: &Site, now_ms: i64) -> Now {
    let here = app.folder.read(|state| state.here(site.id, now_ms));
    Now { here: here.now, minutes: here.minutes.to_vec() }
}

async fn visible(app: &App, viewer: Viewer, now_ms: i64) -> Result<Vec<Arc<Site>>, WebError> {
    let all = app.sites.all(now_ms).await?;
    Ok(all.into_iter().filter(|site| viewer.may_see(site)).collect())
}

fn shell(viewer: Viewer, seen: &[Arc<Site>], current: Option<&Site>) -> Shell {
    let entry = |site: &Arc<Site>| {
        (site.domain().to_string(), path(site.domain()), current.is_some_and(|current| current.id == site.id))
    };
    Shell {
        sites: seen.iter().take(MENU_SITES).map(entry).collect(),
        account: if viewer.signed_in { Account::SignedIn } else { Account::SignedOut },
        ..Shell::default()
    }
}

/// The site of an address, if there is one and this viewer may see it.
async fn find(app: &App, viewer: Viewer, typed: &str, now_ms: i64) -> Result<Arc<Site>, WebError> {
    let domain = normal_domain(typed).ok_or(WebError::NotFound)?;
    let site = app.sites.get(&domain, now_ms).await?;
    site.filter(|site| viewer.may_see(site)).ok_or(WebError::NotFound)
}

/// `GET /{domain}`: the overview, or the way to the first visitor.
pub async fn overview(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(domain): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let now_ms = app.now_ms();
    let site = find(&app, viewer, &domain, now_ms).await?;
    let bounds = app.answers.bounds(site.id).await?;
    let view = view(&site, query.as_deref().unwrap_or(""), now_ms, bounds);
    let seen = visible(&app, viewer, now_ms).await?;
    let shell = shell(viewer, &seen, Some(&site));
    let scene = scene(&site, &view, now_ms, bounds);
    let Some((first, last)) = bounds else {
        return Ok(page(
            StatusCode::OK,
            &headers,
            waiting(&app, &site, shell, peer, &headers, Vec::new(), now_ms).render(),
        ));
    };
    let window = scene.window();
    let reports = app.answers.reports(site.id, &present::questions(&scene, &window)).await?;
    let shown = present::overview(
        &scene,
        &window,
        reports,
        Shell { now: Some(here(&app, &site, now_ms)), ..shell.clone() },
    );
    if shown.is_empty() && !counted(&app, &site, first..=last, now_ms).await? {
        let refused = refused(&app, &site, first..=last, now_ms).await?;
        return Ok(page(
            StatusCode::OK,
            &headers,
            waiting(&app, &site, shell, peer, &headers, refused, now_ms).render(),
        ));
    }
    Ok(page(StatusCode::OK, &headers, shown.render()))
}

/// What an address asks of a site.
fn view(site: &Site, query: &str, now_ms: i64, bounds: Option<(Day, Day)>) -> View {
    let today = time::local(&site.rules(now_ms).zone, now_ms).day;
    match bounds {
        Some((first, _)) if first >= today => View::parse_new(query),
        _ => View::parse(query),
    }
}

fn scene<'a>(site: &'a Site, view: &'a View, now_ms: i64, bounds: Option<(Day, Day)>) -> Scene<'a> {
    Scene {
        domain: site.domain(),
        zone: &site.rules(now_ms).zone,
        zone_name: site.zone_name(now_ms),
        now_ms,
        bounds,
        view,
    }
}

/// Whether anything at all was counted in some days: a day may hold nothing but what was refused.
async fn counted(app: &App, site: &Site, days: RangeInclusive<Day>, now_ms: i64) -> Result<bool, WebError> {
    let report = app.answers.report(site.id, &Question::totals(days, &site.rules(now_ms).zone)).await?;
    Ok(report.rows.iter().any(|row| present::anything(&row.counts)))
}

/// What was refused in some days, in plain words.
async fn refused(
    app: &App,
    site: &Site,
    days: RangeInclusive<Day>,
    now_ms: i64,
) -> Result<Vec<(String, i64)>, WebError> {
    let question =
        Question::top(Dimension::Value(Dim::Dropped), Metric::Events, 12, days, &site.rules(now_ms).zone);
    let report = app.answers.report(site.id, &question).await?;
    Ok(report.rows.iter().map(|row| (lists::reason(row.label()).to_string(), row.counts.events)).collect())
}

/// The page of a site that nobody has visited yet.
fn waiting(
    app: &App,
    site: &Site,
    shell: Shell,
    peer: SocketAddr,
    headers: &HeaderMap,
    refused: Vec<(String, i64)>,
    now_ms: i64,
) -> First {
    let domain = site.domain().to_string();
    let poll = Some(format!("{}/first", path(&domain)));
    First {
        shell: Shell {
            title: domain.clone(),
            here: domain.clone(),
            poll,
            refresh_s: (!refused.is_empty()).then_some(20),
            ..shell
        },
        origin: origin(app, peer, headers),
        zone: site.zone_name(now_ms).to_string(),
        domain,
        refused,
    }
}

/// Where this page was asked for, as its reader typed it: `https://stats.example.com`.
fn origin(app: &App, peer: SocketAddr, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let host = if !host.is_empty() && host.chars().all(plain) { host } else { "localhost" };
    let scheme = if app.web.is_https(peer, headers) { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// `GET /{domain}/first`: 200 once somebody came, 204 until then.
pub async fn first(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(domain): Path<String>,
) -> Result<StatusCode, WebError> {
    let now_ms = app.now_ms();
    let site = find(&app, viewer, &domain, now_ms).await?;
    let came = match app.answers.bounds(site.id).await? {
        Some((first, last)) => counted(&app, &site, first..=last, now_ms).await?,
        None => false,
    };
    Ok(if came { StatusCode::OK } else { StatusCode::NO_CONTENT })
}

/// `GET /{domain}/{list}`: all rows of one list.
pub async fn list(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((domain, slug)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let now_ms = app.now_ms();
    let site = find(&app, viewer, &domain, now_ms).await?;
    let (panel, list) = lists::find(&slug).ok_or(WebError::NotFound)?;
    let bounds = app.answers.bounds(site.id).await?;
    let view = view(&site, query.as_deref().unwrap_or(""), now_ms, bounds);
    let scene = scene(&site, &view, now_ms, bounds);
    let window = scene.window();
    let reports = app.answers.reports(site.id, &present::list_questions(&scene, &window, list)).await?;
    let seen = visible(&app, viewer, now_ms).await?;
    let shell = Shell { now: Some(here(&app, &site, now_ms)), ..shell(viewer, &seen, Some(&site)) };
    Ok(page(
        StatusCode::OK,
        &headers,
        present::list_page(&scene, &window, panel, list, reports, shell).render(),
    ))
}

/// `GET /sign-in`: the form; with a one-time link's token, the way in.
pub async fn sign_in_page(
    method: Method,
    State(app): State<Arc<App>>,
    viewer: Viewer,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(link): Query<SignInLink>,
) -> Answer {
    let linked = link.token.is_some();
    // A HEAD only looks: a program that previews links must not use one up.
    if method == Method::HEAD {
        return Ok(page(StatusCode::OK, &headers, sign_in::render(&Said::Nothing, app.password.is_set())));
    }
    if let Some(response) = auth::sign_in_by_link(&app, peer, &headers, Query(link)).await? {
        return Ok(response);
    }
    if viewer.signed_in {
        return Ok(Redirect::to("/").into_response());
    }
    let (status, said) =
        if linked { (StatusCode::UNAUTHORIZED, Said::LinkSpent) } else { (StatusCode::OK, Said::Nothing) };
    Ok(page(status, &headers, sign_in::render(&said, app.password.is_set())))
}

/// `POST /sign-in`: the password; a wrong one gets the form again, with a word about it.
pub async fn sign_in(
    same: SameOrigin,
    State(app): State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Form<SignInForm>,
) -> Answer {
    let set = app.password.is_set();
    match auth::sign_in(same, State(app), peer, headers.clone(), form).await {
        Err(WebError::Unauthorized) => {
            Ok(page(StatusCode::UNAUTHORIZED, &headers, sign_in::render(&Said::Wrong, set)))
        }
        Err(WebError::TooMany(seconds)) => {
            let mut response =
                page(StatusCode::TOO_MANY_REQUESTS, &headers, sign_in::render(&Said::Slowed(seconds), set));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        other => other,
    }
}
