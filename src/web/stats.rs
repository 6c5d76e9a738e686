//! `POST /api/v2/query`: a question in Plausible's JSON, answered for whoever has a key. The command
//! `passerby query` asks by the same function.

use super::error::{WebError, log};
use crate::answer::Source;
use crate::app::App;
use crate::keys;
use crate::sites::{Site, normal_domain};
use crate::store;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use passerby_engine::query::parse;
use serde::Deserialize;
use std::sync::Arc;

/// Greatest question, bytes.
pub const MAX_QUESTION: usize = 64 * 1024;

/// Why a question has no answer.
#[derive(Debug)]
pub enum AskError {
    /// A sentence about the question.
    Query(String),
    Store(store::Error),
}

/// Answers a question about a site: JSON in, JSON out.
pub async fn ask(source: &Source, site: &Site, question: &[u8], now_ms: i64) -> Result<String, AskError> {
    let bounds = source.bounds(site.id).await.map_err(AskError::Store)?;
    let query = parse(question, &site.rules(now_ms).zone, now_ms, bounds).map_err(AskError::Query)?;
    let report = source.report(site.id, &query).await.map_err(AskError::Store)?;
    Ok(report.to_json(&query, site.domain()))
}

/// What of a question the door needs; the rest is the query's.
#[derive(Deserialize)]
struct About {
    site_id: String,
}

/// `POST /api/v2/query`, with `Authorization: Bearer <key>`.
pub async fn query(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&app, &headers, &body).await {
        Ok(report) => json(StatusCode::OK, report),
        Err(e) => {
            let sentence = serde_json::json!({ "error": e.sentence() });
            let mut response = json(e.status(), sentence.to_string());
            if let Some(seconds) = e.retry_after_s() {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

async fn answer(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<String, WebError> {
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented =
        presented.and_then(|value| value.strip_prefix("Bearer ")).ok_or(WebError::Unauthorized)?;
    let key = keys::check(&*app.store, presented.trim()).await?.ok_or(WebError::Unauthorized)?;
    let about: About = serde_json::from_slice(body)
        .map_err(|_| WebError::BadRequest("The question is a JSON object with a \"site_id\".".to_owned()))?;
    let domain = normal_domain(&about.site_id);
    let site = match domain {
        Some(domain) => app.sites.get(&domain, app.now_ms()).await?,
        None => None,
    };
    // A key for another site learns no more than that this one is not for it.
    let site = site.filter(|site| key.site.is_none_or(|id| id == site.id)).ok_or(WebError::Unauthorized)?;
    ask(&app.answers, &site, body, app.now_ms()).await.map_err(|e| match e {
        AskError::Query(sentence) => WebError::BadRequest(sentence),
        AskError::Store(error) => {
            log(&format!("a query could not be answered: {error}"));
            WebError::Unavailable
        }
    })
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body)
        .into_response()
}
