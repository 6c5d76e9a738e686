//! `GET /health`: whether this server can do its work.

use crate::app::App;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// 200 while the store answers and the fold goes on, else 503. Says nothing that a stranger should not know.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let (status, body) = match app.store.revision().await {
        // What comes is durable all the same; a restart folds it.
        Ok(_) if !app.folder.is_running() => {
            (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"the fold has stopped; start the server again"}"#)
        }
        Ok(_) => (StatusCode::OK, concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), "\"}")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"the store does not answer"}"#),
    };
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body)
        .into_response()
}
