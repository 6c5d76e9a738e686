//! Signing in and out, and what a request may see.
//!
//! A sign-in is a random secret in a cookie that scripts cannot read and other sites' posts do not carry.
//! Every post that changes something must moreover come from a page of ours: [`SameOrigin`].

use super::error::WebError;
use crate::app::App;
use crate::signin;
use crate::sites::Site;
use crate::store;
use axum::Form;
use axum::extract::{ConnectInfo, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The cookie's name. Over https it carries a prefix with which a browser lets nobody else set it.
const COOKIE: &str = "passerby";
const SECURE_COOKIE: &str = "__Host-passerby";

/// Who looks at a page, as far as we need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub signed_in: bool,
    /// Whether every dashboard is public here.
    all_public: bool,
}

impl Viewer {
    pub fn may_see(self, site: &Site) -> bool {
        self.signed_in || self.all_public || site.stored.public
    }

    /// Whether this viewer may see a list of all sites.
    pub fn may_see_all(self) -> bool {
        self.signed_in || self.all_public
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Viewer, WebError> {
        Ok(Viewer { signed_in: session(&parts.headers, app).await?.is_some(), all_public: app.web.public })
    }
}

/// The secret of the session that a request belongs to, if it goes on.
async fn session<'a>(headers: &'a HeaderMap, app: &App) -> Result<Option<&'a str>, store::Error> {
    for token in cookies(headers) {
        if signin::goes_on(&*app.store, token, app.now_ms()).await? {
            return Ok(Some(token));
        }
    }
    Ok(None)
}

/// The values of our cookies: at most two are looked at, so that a long header costs no long work.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE || *name == SECURE_COOKIE).map(|(_, value)| value).take(2)
}

/// A request that a page of ours sent, as the browser tells: extract it first in every handler that
/// changes something. A browser says where a request comes from in `Sec-Fetch-Site` or `Origin`; what says
/// neither is not one of the browsers that can hold our cookie.
pub struct SameOrigin;

impl<S: Sync> FromRequestParts<S> for SameOrigin {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<SameOrigin, WebError> {
        if is_same_origin(&parts.headers) { Ok(SameOrigin) } else { Err(WebError::Forbidden) }
    }
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    origin
        .split_once("://")
        .is_some_and(|(scheme, of)| matches!(scheme, "http" | "https") && of.eq_ignore_ascii_case(host))
}

/// What the sign-in form sends.
#[derive(Deserialize)]
pub struct SignInForm {
    #[serde(default)]
    password: String,
}

/// What a one-time link carries.
#[derive(Deserialize)]
pub struct SignInLink {
    pub token: Option<String>,
}

/// `POST /sign-in`: the password.
pub async fn sign_in(
    _: SameOrigin,
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, WebError> {
    let tried = Zeroizing::new(form.password);
    if !app.password.is_set() {
        return Err(WebError::Unauthorized);
    }
    let client = app.web.client(peer, &headers);
    app.backoff.begin(client, app.now_ms()).map_err(WebError::TooMany)?;
    if !app.password.is(tried).await {
        return Err(WebError::Unauthorized);
    }
    app.backoff.right(client);
    begin_session(&app, peer, &headers).await
}

/// `GET /sign-in?token=…`: the one-time link. None if the request carries no token or no good one.
pub async fn sign_in_by_link(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    Query(link): Query<SignInLink>,
) -> Result<Option<Response>, WebError> {
    let Some(token) = link.token else {
        return Ok(None);
    };
    if !signin::take_link(&*app.store, &token, app.now_ms()).await? {
        return Ok(None);
    }
    Ok(Some(begin_session(app, peer, headers).await?))
}

/// `POST /sign-out`.
pub async fn sign_out(
    _: SameOrigin,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    for token in cookies(&headers) {
        signin::end(&*app.store, token).await?;
    }
    let mut response = see_other("/sign-in");
    for name in [COOKIE, SECURE_COOKIE] {
        let secure = if name == SECURE_COOKIE { "; Secure" } else { "" };
        set_cookie(&mut response, &format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"));
    }
    Ok(response)
}

/// Begins a new session, whatever the request's cookie says, and leads to the sites.
async fn begin_session(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Response, WebError> {
    let token = Zeroizing::new(signin::begin(&*app.store, app.now_ms()).await?);
    let mut response = see_other("/");
    let age_s = signin::SESSION_MS / 1000;
    let (name, secure) =
        if app.web.is_https(peer, headers) { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    let token = token.as_str();
    set_cookie(
        &mut response,
        &format!("{name}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"),
    );
    Ok(response)
}

fn see_other(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static(to))]).into_response()
}

fn set_cookie(response: &mut Response, cookie: &str) {
    // A cookie of ours is hex digits and fixed words: always a header's value.
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
