//! The web, on one page: every address, who answers it, and what all pages carry.

mod auth;
mod backoff;
mod collect;
mod error;
mod flood;
mod health;
pub mod listen;
mod password;
mod peer;
pub mod script;
mod stats;

// The pages: an address is a view, a view has its window of days, reports become what components show.
pub mod assets;
mod dashboard;
pub mod face;
mod lists;
mod present;
mod view;
mod window;

#[cfg(test)]
mod gallery;
#[cfg(test)]
mod pages_tests;

pub use auth::{SameOrigin, SignInLink, Viewer, sign_in_by_link};
pub use backoff::Backoff;
pub use error::{Quiet, WebError, log};
pub use flood::Flood;
pub use password::Password;
pub use peer::WebConfig;
pub use stats::{AskError, ask};

use crate::app::App;
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, get, post};
use collect::Form;
use http_body_util::Either;
use hyper::body::Incoming;
use listen::{Answer, Connection};
use std::net::SocketAddr;
use std::sync::Arc;
use tower_service::Service;

/// Every address. Handlers need the peer's address as axum's `ConnectInfo<SocketAddr>`: our own accept loop
/// gives it; who mounts this router elsewhere uses `into_make_service_with_connect_info`.
pub fn router(app: Arc<App>) -> Router {
    let pages = Router::new()
        .route("/", get(dashboard::sites))
        .route("/sign-in", get(dashboard::sign_in_page).post(dashboard::sign_in))
        .route("/sign-out", post(auth::sign_out))
        .route("/_/{file}", get(dashboard::asset))
        .route("/{domain}", get(dashboard::overview))
        .route("/{domain}/first", get(dashboard::first))
        .route("/{domain}/{list}", get(dashboard::list))
        .fallback(dashboard::not_found)
        .layer(from_fn(dashboard::trouble_as_page));
    Router::new()
        .route("/api/v2/query", post(stats::query).layer(DefaultBodyLimit::max(stats::MAX_QUESTION)))
        .route("/health", get(health::health))
        .merge(pages)
        .layer(from_fn(guard))
        // What a page on any site may ask for: these carry headers of their own.
        .route("/api/track", any(collect::track))
        .route("/api/event", any(collect::event))
        .route("/p.js", get(script::script))
        .with_state(app)
}

/// What our own accept loop asks: the router, and before it the two addresses that get nearly all requests.
/// They need no route, no boxed body and no extensions, which together cost as much as reading a batch.
pub struct Door {
    router: Router,
    app: Arc<App>,
}

impl Door {
    pub fn new(app: Arc<App>) -> Door {
        Door { router: router(app.clone()), app }
    }

    async fn by_router(&self, request: hyper::Request<Incoming>, peer: SocketAddr) -> Response {
        let (mut head, body) = request.into_parts();
        head.extensions.insert(ConnectInfo(peer));
        let request = Request::from_parts(head, axum::body::Body::new(body));
        self.router.clone().call(request).await.unwrap_or_else(|never| match never {})
    }
}

impl Answer for Door {
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        connection: &Connection,
    ) -> hyper::Response<listen::Body> {
        match Form::of_path(request.uri().path()) {
            Some(form) => {
                let body_is_read = || connection.body_is_read();
                collect::collect(&self.app, form, request, connection.peer, body_is_read)
                    .await
                    .map(Either::Left)
            }
            // In a box, so that the path above need not carry room for it.
            None => Box::pin(self.by_router(request, connection.peer)).await.map(Either::Right),
        }
    }
}

/// What every page says to the browser: load nothing from elsewhere, run nothing inline, stay in no frame.
const GUARDS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Puts the guards on an answer; what does not say how long it may be kept may not be kept at all.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in &GUARDS {
        headers.insert(name, value.clone());
    }
    headers.entry(header::CACHE_CONTROL).or_insert(const { HeaderValue::from_static("no-store") });
    response
}
