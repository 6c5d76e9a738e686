//! A server without a socket: its router over a store in a folder of its own, and a clock moved by hand.
//! Requests and answers are text.

#![allow(dead_code)]

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use http_body_util::BodyExt;
use passerby::app::{App, Parts};
use passerby::salts::Salts;
use passerby::store;
use passerby::web::{self, WebConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use tower_service::Service;
use zeroize::Zeroizing;

/// Wednesday, 2026-07-01 12:00:00 UTC.
pub const NOON_MS: i64 = 1_782_907_200_000;

/// An address that is nobody's.
pub const PEER: &str = "192.0.2.1:4711";

pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

pub struct Server {
    pub app: Arc<App>,
    pub now_ms: Arc<AtomicI64>,
    pub url: String,
    _folder: TempDir,
}

impl Server {
    /// A server with the sites example.com and other.example.
    pub async fn start(web: WebConfig, password: Option<&str>) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passerby.db");
        let url = format!("sqlite:{}", file.display());
        let now_ms = Arc::new(AtomicI64::new(NOON_MS));
        let clock = now_ms.clone();
        let store = store::open(&url).unwrap();
        let parts = Parts {
            store,
            salts: Salts::open(&file, &[], || true),
            clock: Arc::new(move || clock.load(Ordering::Relaxed)),
            web,
            geo: None,
            password: password.map(|text| Zeroizing::new(text.to_owned())),
        };
        let app = Arc::new(App::open(parts).await.unwrap());
        for domain in ["example.com", "other.example"] {
            app.sites.add(&domain.into(), None, NOON_MS).await.unwrap();
        }
        Server { app, now_ms, url, _folder: folder }
    }

    pub fn wait_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Sends `METHOD /path`, lines of headers, an empty line and a body; from an address that is no proxy.
    pub async fn send(&self, request: &str) -> Answer {
        self.send_from(PEER, request).await
    }

    pub async fn send_from(&self, peer: &str, request: &str) -> Answer {
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        self.send_body(peer, head, Body::from(body.to_owned())).await
    }

    pub async fn send_body(&self, peer: &str, head: &str, body: Body) -> Answer {
        let mut lines = head.lines();
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let response = web::router(self.app.clone()).call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Answer {
    /// A header's values, or an empty text.
    pub fn header(&self, name: &str) -> String {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
    }

    /// The status, some headers, and the body.
    pub fn show(&self, headers: &[&str]) -> String {
        let mut text = self.status.to_string();
        for name in headers {
            if self.headers.contains_key(*name) {
                text += &format!("\n{name}: {}", self.header(name));
            }
        }
        if !self.body.is_empty() {
            text += &format!("\n{}", self.body);
        }
        text
    }
}
