//! What goes wrong on the way to an answer, and the one place where it becomes HTTP.

use crate::store;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Why a page or an API request has no better answer. (The collect path has statuses of its own: collect.rs.)
#[derive(Debug, PartialEq)]
pub enum WebError {
    /// The request makes no sense; says why.
    BadRequest(String),
    /// Who asks has not said who they are, or wrongly.
    Unauthorized,
    /// Sent from a page of another origin.
    Forbidden,
    /// Not here, or not for these eyes: the two look the same from outside.
    NotFound,
    /// Try again after so many seconds.
    TooMany(u64),
    /// The store does not answer now. What it said goes to the log, not to the visitor.
    Unavailable,
}

impl From<store::Error> for WebError {
    fn from(error: store::Error) -> WebError {
        log(&format!("the store refuses: {error}"));
        WebError::Unavailable
    }
}

impl WebError {
    pub fn status(&self) -> StatusCode {
        match self {
            WebError::BadRequest(_) => StatusCode::BAD_REQUEST,
            WebError::Unauthorized => StatusCode::UNAUTHORIZED,
            WebError::Forbidden => StatusCode::FORBIDDEN,
            WebError::NotFound => StatusCode::NOT_FOUND,
            WebError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            WebError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One sentence for whoever asked.
    pub fn sentence(&self) -> &str {
        match self {
            WebError::BadRequest(why) => why,
            WebError::Unauthorized => "Sign in, or send a key that may read this site.",
            WebError::Forbidden => "This was sent from a page of another site.",
            WebError::NotFound => "There is nothing here.",
            WebError::TooMany(_) => "Too many tries. Wait a little, then try again.",
            WebError::Unavailable => "The store does not answer just now. Try again in a moment.",
        }
    }

    /// Seconds to wait, if waiting helps.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            WebError::TooMany(seconds) => Some(*seconds),
            WebError::Unavailable => Some(5),
            _ => None,
        }
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.sentence().to_owned()).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A complaint that may come with every request is told once in this time, ms.
const TOLD_EVERY_MS: i64 = 10_000;

/// Says that something is wrong once in a while, however often it is: a full disk should not fill the log.
#[derive(Default)]
pub struct Quiet {
    /// When (Unix ms) it may be told again.
    next_ms: AtomicI64,
}

impl Quiet {
    pub fn log(&self, line: &str, now_ms: i64) {
        let next_ms = self.next_ms.load(Relaxed);
        let due = now_ms >= next_ms || next_ms > now_ms + TOLD_EVERY_MS;
        let after_ms = now_ms + TOLD_EVERY_MS;
        if due && self.next_ms.compare_exchange(next_ms, after_ms, Relaxed, Relaxed).is_ok() {
            log(line);
        }
    }
}

/// One line on standard error, for whoever runs the server. Never an address, an agent, a body or a secret.
pub fn log(line: &str) {
    eprintln!("passerby: {line}");
}
